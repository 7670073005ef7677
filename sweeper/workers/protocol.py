"""What the coordinator knows of workers: a handful of calls, of which only `wait` blocks.

Inline, simulated and Ray workers keep the same contract; one test suite runs on all of them.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from sweeper.records import Checkpoint, EpochRecord, FinalScore, Trial, TrialKey, TrialState, WorkerInfo

Slot = WorkerInfo
"""One worker, which trains one trial at a time."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A worker trained its trial as far as it was asked to, or to the trial's end.

    `records` are the epochs since the last report, at least one, unless the trial turned out to be over.
    `outcome` is COMPLETE or DIVERGED where the trial has ended, else None. `setup_s` is what building the
    network took. `test` is the score of a final that is complete, None for anything else. `checkpoint` is the
    latest one that was saved since the last report; `checkpoint_error` says in a line why one was not.
    """

    slot: Slot
    key: TrialKey
    attempt: int
    records: tuple[EpochRecord, ...]
    outcome: TrialState | None
    setup_s: float
    test: FinalScore | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_error: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt ended before its trial did; its slot is free again or gone.

    `strike` tells whether the trial itself may be at fault: its process died or hung while the node stayed
    up, it raised an error, or it ran out of memory. `unreadable_checkpoint`: it never began, for the
    checkpoint that it was to go on from can't be read; that is no strike.
    """

    slot: Slot
    key: TrialKey
    attempt: int
    cause: str
    strike: bool
    unreadable_checkpoint: bool = False


class Workers(Protocol):
    """Trains trials somewhere."""

    def slots(self) -> list[Slot]:
        """The free slots."""
        ...

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Give `trial` to a free slot, not to `avoid` if there is another.

        It goes on from `checkpoint`, or begins at the beginning. Nothing is trained before `advance`.
        """
        ...

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Ask for the slot's trial to be trained up to and including `until_epoch`, or to its end.

        A worker that has not reported after `limit_s` hangs: it is killed, and the attempt is lost. Only
        workers in processes of their own can keep that.
        """
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
