"""What a worker gives for one call.

A module of its own, without torch: the coordinator's process reads it, and needs no torch for that.
"""

from dataclasses import dataclass

from sweeper.records import Checkpoint, EpochRecord, FinalScore, TrialState


@dataclass(frozen=True, slots=True)
class Stretch:
    """What came of one call: the epochs trained, how the trial ended if it did, its setup time.

    `test` is what a final scored on the test images at its end. `checkpoint` is the latest one that was
    saved, `checkpoint_error` says in a line why one was not.
    """

    records: tuple[EpochRecord, ...]
    outcome: TrialState | None
    setup_s: float
    test: FinalScore | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_error: str | None = None
