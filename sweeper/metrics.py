"""What of a running sweep can be watched from outside, as numbers over time.

`METRICS` is the whole list. A `Meter` is told by the coordinator, as every watcher is, and tells a `Sink`,
which knows where numbers go. Labels are names of optimizers and states, never numbers of trials: a monitoring
system keeps a series for each combination.
"""

import enum
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sweeper.experiment import Experiment
from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    StoredTrial,
    Trial,
    TrialKey,
    TrialState,
)
from sweeper.tally import Tally

WINDOW_S = 60.0
"""The share of training is of about so many seconds."""

BETWEEN_S = 1.0
"""What changes with every report is told so often: nobody looks more often, and telling takes time."""

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The bounds by which commits are counted."""


class Kind(enum.StrEnum):
    """What a metric's numbers mean."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One of the numbers: its name, kind, meaning, and labels; all have the label `sweep`."""

    name: str
    kind: Kind
    description: str
    labels: tuple[str, ...] = ()


TRIALS = Metric(
    "sweeper_trials", Kind.GAUGE, "Trials by state; finals by phase.", ("optimizer", "phase", "state")
)
PLANNED = Metric("sweeper_trials_planned", Kind.GAUGE, "Trials and finals that there will be.")
BEST = Metric(
    "sweeper_best_score",
    Kind.GAUGE,
    "Best score of the settings tried so far, in the objective that the label names.",
    ("optimizer", "objective"),
)
EPOCHS = Metric("sweeper_epochs", Kind.COUNTER, "Epochs that were recorded.", ("optimizer",))
LOST = Metric("sweeper_attempts_lost", Kind.COUNTER, "Attempts that were lost.", ("optimizer",))
WORKERS = Metric("sweeper_workers", Kind.GAUGE, "Workers that are ready.")
TRAINING_SHARE = Metric(
    "sweeper_training_share",
    Kind.GAUGE,
    "Share of the workers' time that was training and evaluation, over the last minute.",
)
COMMIT_SECONDS = Metric("sweeper_commit_seconds", Kind.HISTOGRAM, "Seconds that a commit to the store took.")
UNWRITTEN = Metric("sweeper_unwritten_reports", Kind.GAUGE, "Reports that wait to be written to the store.")

METRICS = (TRIALS, PLANNED, BEST, EPOCHS, LOST, WORKERS, TRAINING_SHARE, COMMIT_SECONDS, UNWRITTEN)


class Sink(Protocol):
    """Where numbers go. Called from the coordinator's thread and from the writer's."""

    def set(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """A gauge is at `value` now."""
        ...

    def add(self, metric: Metric, amount: float, labels: Mapping[str, str]) -> None:
        """A counter grows by `amount`, which is above 0."""
        ...

    def observe(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """A histogram counts `value`."""
        ...


class Meter:
    """Turns what the coordinator tells of a sweep into metrics.

    `known` are the trials that the store held when this coordinator began. `n_workers` and `n_unwritten` are
    asked when something is reported.
    """

    def __init__(
        self,
        sweep: str,
        experiment: Experiment,
        known: Sequence[StoredTrial],
        sink: Sink,
        *,
        n_workers: Callable[[], int],
        n_unwritten: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep = {"sweep": sweep}
        self._objective = experiment.objective
        self._sink = sink
        self._n_workers = n_workers
        self._n_unwritten = n_unwritten
        self._clock = clock
        self._told_at = -math.inf
        self._share = TrainingShare(clock)
        self._tally = Tally(experiment, known)
        self._epochs: dict[TrialKey, int] = {}
        self._running: set[TrialKey] = set()
        self._counts = Counter(
            _labels(stored.trial.key, stored.state)
            for stored in known
            if stored.state.is_finished and stored.trial.origin is not Origin.SUPERSEDED
        )
        for labels in self._counts:
            self._tell_count(labels)
        for arm in experiment.arms:
            self._tell_best(arm.name)
        self._set(PLANNED, self._tally.n_planned)

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        """A trial reported epochs."""
        optimizer = trial.key.optimizer
        epoch = records[-1].epoch
        done = epoch - self._epochs.get(trial.key, records[0].epoch - 1)
        self._epochs[trial.key] = epoch
        if done > 0:
            self._sink.add(EPOCHS, done, {**self._sweep, "optimizer": optimizer})
        if trial.key not in self._running:
            self._running.add(trial.key)
            self._count(trial.key, TrialState.RUNNING, 1)
        n_workers = self._n_workers()
        share = self._share.after(sum(record.train_s + record.eval_s for record in records), n_workers)
        if self._clock() - self._told_at >= BETWEEN_S:
            self._told_at = self._clock()
            self._set(WORKERS, n_workers)
            self._set(UNWRITTEN, self._n_unwritten())
            if share is not None:
                self._set(TRAINING_SHARE, share)

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        """A trial ended."""
        self._is_over(trial.key)
        self._count(trial.key, state, 1)
        self._tally.ended(trial, state, last)
        self._tell_best(trial.key.optimizer)

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        """An attempt was lost."""
        self._is_over(key)
        self._sink.add(LOST, 1, {**self._sweep, "optimizer": key.optimizer})

    def note(self, line: str) -> None:
        """A line is no number."""

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        """The search is over, and the number of finals known."""
        self._tally.finals_chosen(n_finals, n_left)
        self._set(PLANNED, self._tally.n_planned)

    def committed(self, seconds: float) -> None:
        """A commit took so long; told by the writer, in its own thread."""
        self._sink.observe(COMMIT_SECONDS, seconds, self._sweep)
        self._set(UNWRITTEN, self._n_unwritten())

    def _is_over(self, key: TrialKey) -> None:
        self._epochs.pop(key, None)
        if key in self._running:
            self._running.remove(key)
            self._count(key, TrialState.RUNNING, -1)

    def _count(self, key: TrialKey, state: TrialState, change: int) -> None:
        labels = _labels(key, state)
        self._counts[labels] += change
        self._tell_count(labels)

    def _tell_count(self, labels: tuple[tuple[str, str], ...]) -> None:
        self._sink.set(TRIALS, self._counts[labels], {**self._sweep, **dict(labels)})

    def _tell_best(self, optimizer: str) -> None:
        best = self._tally.best.get(optimizer, math.nan)
        if math.isfinite(best):
            labels = {**self._sweep, "optimizer": optimizer, "objective": self._objective}
            self._sink.set(BEST, best, labels)

    def _set(self, metric: Metric, value: float) -> None:
        self._sink.set(metric, value, self._sweep)


class TrainingShare:
    """The share of the workers' time that was training and evaluation, over about the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spans: deque[tuple[float, float, float]] = deque()
        self._last: float | None = None
        self._spent_s = self._paid_s = 0.0

    def after(self, spent_s: float, n_workers: int) -> float | None:
        """The share, now that a report of `spent_s` came from one of `n_workers`; None before there is one.

        The first report only starts the clock: how long its worker had been at it is not known here.
        """
        now = self._clock()
        if self._last is None:
            self._last = now
            return None
        self._spans.append((now, spent_s, (now - self._last) * n_workers))
        self._spent_s += self._spans[-1][1]
        self._paid_s += self._spans[-1][2]
        self._last = now
        while self._spans[0][0] < now - WINDOW_S:
            _, spent_s, paid_s = self._spans.popleft()
            self._spent_s -= spent_s
            self._paid_s -= paid_s
        return min(max(self._spent_s / self._paid_s, 0.0), 1.0) if self._paid_s > 0 else None


def _labels(key: TrialKey, state: TrialState) -> tuple[tuple[str, str], ...]:
    return (("optimizer", key.optimizer), ("phase", key.phase.value), ("state", state.value))
