"""What a coordinator asks the store to write: small frozen records, each idempotent.

A write comes back as its own acknowledgement once its transaction is committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sweeper.records import (
    Checkpoint,
    EpochRecord,
    FinalScore,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
    WorkerInfo,
)


@dataclass(frozen=True, slots=True)
class TrialPlanned:
    """A new trial, queued."""

    trial: Trial
    queued_at: datetime

    @property
    def key(self) -> TrialKey:
        """Which trial it is."""
        return self.trial.key


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An attempt was handed to a worker; from now on records of older ones are refused.

    `gone_on_from` are the records of earlier attempts up to the checkpoint that this one goes on from; none
    where it begins at the beginning, and then no checkpoint counts any more.
    """

    key: TrialKey
    attempt: int
    worker: WorkerInfo
    started_at: datetime
    gone_on_from: tuple[EpochRecord, ...] = ()

    @property
    def first_epoch(self) -> int:
        """The epoch that it begins with."""
        return self.gone_on_from[-1].epoch + 1 if self.gone_on_from else 1


@dataclass(frozen=True, slots=True)
class EpochsRecorded:
    """What an attempt reported since its last report.

    `setup_s` is the attempt's, `train_s` and `eval_s` are totals over all epochs that count.
    """

    key: TrialKey
    attempt: int
    records: tuple[EpochRecord, ...]
    setup_s: float
    train_s: float
    eval_s: float


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint lies there whole: from now on it is the one that counts."""

    key: TrialKey
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt ended before its trial did; the trial is queued again. `strike`: by its possible fault."""

    key: TrialKey
    attempt: int
    why: str
    strike: bool
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A trial reached a final state.

    `error` says why where it failed; then its last attempt was a strike. `test` is a final's score.
    """

    key: TrialKey
    attempt: int
    state: TrialState
    finished_at: datetime
    error: str | None = None
    test: FinalScore | None = None


@dataclass(frozen=True, slots=True)
class FinalsChosen:
    """The search is over: `settings` are the trial numbers whose settings get finals, for each optimizer.

    Finals of any other setting, which an earlier end of the search had chosen, are superseded; those of them
    that were never finished never will be. Finals that count again are no longer superseded.
    """

    settings: Mapping[str, frozenset[int]]
    chosen_at: datetime


@dataclass(frozen=True, slots=True)
class ExperimentExtended:
    """From now on the sweep follows `document`, which asks for more than before."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SweepEnded:
    """The sweep is complete or stopped."""

    state: SweepState


Write = (
    TrialPlanned
    | AttemptStarted
    | EpochsRecorded
    | CheckpointSaved
    | AttemptEnded
    | TrialFinished
    | FinalsChosen
    | ExperimentExtended
    | SweepEnded
)
