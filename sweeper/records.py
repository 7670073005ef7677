"""What travels between the layers: trials, epoch records and their states, as frozen dataclasses.

Nothing here computes or stores anything. Tables and frames are made of these at the edge only.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Value = float | int | str
"""One hyperparameter's value: a number or the name of a choice."""

Params = Mapping[str, Value]
"""Hyperparameters by name."""


class Phase(enum.StrEnum):
    """What a trial is for."""

    SEARCH = "search"
    FINAL = "final"


class Origin(enum.StrEnum):
    """Where a trial's setting comes from."""

    DEFAULT = "default"
    PROPOSED = "proposed"
    IMPORTED = "imported"
    FINAL = "final"
    SUPERSEDED = "superseded"


class TrialState(enum.StrEnum):
    """How far a trial is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Whether the trial will never be trained again."""
        return self not in (TrialState.QUEUED, TrialState.RUNNING)

    @property
    def has_score(self) -> bool:
        """Whether statistics count the trial's score: it was trained as far as it could be."""
        return self in (TrialState.COMPLETE, TrialState.DIVERGED)


class SweepState(enum.StrEnum):
    """How far a sweep is. `INTERRUPTED` is never stored: it is worked out from the lease when read."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, order=True)
class TrialKey:
    """Which trial of a sweep: numbered from 0 within its optimizer and phase."""

    optimizer: str
    phase: Phase
    number: int

    def __str__(self) -> str:
        """`adam/7`, or `adam/final/3`."""
        middle = "" if self.phase is Phase.SEARCH else f"{self.phase}/"
        return f"{self.optimizer}/{middle}{self.number}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of one optimizer, to be trained with one seed.

    `proposal` holds the numbers that Optuna saw, in Optuna's own coordinates; it is empty for trial 0, unless
    trial 0 lies in the searched space. `params` is what the rule and the training loop get. `setting` is the
    number of the search trial whose setting this is: its own, in the search.
    """

    key: TrialKey
    seed: int
    params: Params
    proposal: Params
    origin: Origin
    independent: bool
    setting: int


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one pass over the training data reported.

    `samples`, `steps` and `grad_evals` count from the trial's start; seconds are this epoch's own. Losses are
    means per sample without the L2 term, the accuracy lies in 0..1. The validation values are None where this
    epoch was not validated, `lr` where the rule has none.
    """

    epoch: int
    samples: int
    steps: int
    grad_evals: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float | None
    train_s: float
    eval_s: float
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class FinalScore:
    """What a final came to on the test images: mean loss per sample without the L2 term, accuracy in 0..1."""

    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What an earlier sweep knew of a setting: its `proposal` in this search's coordinates, and its score."""

    proposal: Params
    score: float


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Who trains: the worker's name, its node and its device, such as `cpu` or `NVIDIA H100`."""

    worker: str
    node: str
    device: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trial's state after `epoch`, as `attempt` saved it: the next attempt can go on from there."""

    attempt: int
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial as the store knows it: where it stands, and what its last recorded epoch said.

    `checkpoint` is the one that counts, None where the next attempt begins at the beginning.
    """

    trial: Trial
    state: TrialState
    attempt: int
    strikes: int
    epochs: int
    train_loss: float | None
    val_loss: float | None
    val_accuracy: float | None
    error: str | None
    checkpoint: Checkpoint | None = None

    @property
    def key(self) -> TrialKey:
        """Which trial it is."""
        return self.trial.key


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """One sweep as the store knows it.

    `trials` counts by state; `holder` says who holds the lease, since `held_since`, or is None; `experiment`
    is the document with every default resolved, `experiment_text` the file as it was written; `facts` are the
    versions, hardware and data that its results depend on.
    """

    name: str
    state: SweepState
    created_at: datetime
    updated_at: datetime
    trials: Mapping[str, int]
    holder: str | None
    held_since: datetime | None
    experiment: Mapping[str, Any]
    experiment_text: str
    facts: Mapping[str, Any]
