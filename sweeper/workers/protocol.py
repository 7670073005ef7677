"""What the coordinator knows of workers: a handful of calls, of which only `wait` blocks.

Inline, simulated and Ray workers keep the same contract; one test suite runs on all of them.
"""

from dataclasses import dataclass
from typing import Protocol

from sweeper.records import EpochRecord, FinalScore, Trial, TrialKey, TrialState, WorkerInfo

Slot = WorkerInfo
"""One worker, which trains one trial at a time."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A worker trained its trial as far as it was asked to, or to the trial's end.

    `records` are the epochs since the last report, at least one, unless the trial turned out to be over.
    `outcome` is COMPLETE or DIVERGED where the trial has ended, else None. `setup_s` is what building the
    network took. `test` is the score of a final that is complete, None for anything else.
    """

    slot: Slot
    key: TrialKey
    attempt: int
    records: tuple[EpochRecord, ...]
    outcome: TrialState | None
    setup_s: float
    test: FinalScore | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt ended before its trial did; its slot is free again or gone.

    `strike` tells whether the trial itself may be at fault: its process died while the node stayed up, it
    raised an error, or it ran out of memory.
    """

    slot: Slot
    key: TrialKey
    attempt: int
    cause: str
    strike: bool


class Workers(Protocol):
    """Trains trials somewhere."""

    def slots(self) -> list[Slot]:
        """The free slots."""
        ...

    def start(self, trial: Trial, attempt: int) -> Slot:
        """Give `trial` to a free slot. Nothing is trained before `advance`."""
        ...

    def advance(self, slot: Slot, until_epoch: int) -> None:
        """Ask for the slot's trial to be trained up to and including `until_epoch`, or to its end."""
        ...

    def discard(self, slot: Slot) -> None:
        """Take the slot's trial away, finished or not. Nothing more is reported of it."""
        ...

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """What happened since the last call; waits up to `timeout_s` for the first event.

        Raises ClusterError where no worker can be had any more.
        """
        ...

    def close(self) -> None:
        """Stop every worker at once."""
        ...
