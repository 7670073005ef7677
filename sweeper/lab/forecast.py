"""How long a sweep takes, worked out from its counts and a calibration: arithmetic alone."""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sweeper import optimizers
from sweeper.experiment import ArmSpace, Experiment
from sweeper.experiment.checks import parameter_count
from sweeper.lab.calibration import ArmPace, Calibration
from sweeper.space import Choice, Range

RAY_S = 6.0
"""Seconds for a private Ray cluster to come up and to go down (Ray 2.60 on two cores: 4 and 2)."""

PROGRAM_S = 3.0
"""Seconds for this program's own imports, its store and its summary."""

RAY_LOAD = 1.06
"""By what factor the coordinator and Ray's own processes slow workers down (seen on two cores)."""

REPORT_S = 0.01
"""Seconds between a worker's report and its next stretch: Ray's calls there and back."""

PACE_ERROR = 1.4
"""By what factor a pace measured for moments may miss that of minutes; a range is widened by it."""

WIDEST = 2.5
"""No range is wider, as a factor from its low to its high end."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`; a single number where they are equal."""

    low: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)


def exactly(value: float) -> Span:
    """A span of one number."""
    return Span(value, value)


def narrowed(span: Span) -> Span:
    """The span, or, where it is wider than `WIDEST`, as wide as that about its geometric middle."""
    if span.high <= WIDEST * span.low:
        return span
    middle, half = math.sqrt(span.low * span.high), math.sqrt(WIDEST)
    return Span(middle / half, middle * half)


def trial_epochs(experiment: Experiment, arm: ArmSpace) -> float:
    """The epochs' worth that a whole trial of the arm costs, at most; for steps of its own, at least."""
    if arm.steps is None:
        return float(experiment.budget.epochs)
    n_parameters = parameter_count(experiment.model, experiment.data.n_classes)
    rule = optimizers.ARMS[arm.name]
    first, later = (cost.per_image(n_parameters) for cost in (rule.first_step, rule.later_step))
    return float(first + (arm.steps - 1) * Fraction(later))


def trial_s(experiment: Experiment, arm: ArmSpace, calibration: Calibration) -> float:
    """The seconds of a worker for a whole trial of the arm, without its start.

    Batch sizes count by how often they are drawn.
    """
    pace = calibration.arms[arm.name]
    epochs = trial_epochs(experiment, arm)
    steps = _steps(arm, epochs, pace)
    train_s = epochs * experiment.data.train_size * _mean_sample_s(arm, pace) + steps * pace.step_s
    n_records, n_images = _evaluations(experiment, arm, epochs, steps)
    eval_s = n_images * calibration.eval_image_s
    return _slowdown(calibration) * (train_s + eval_s + calibration.setup_s + n_records * REPORT_S)


def testing_s(experiment: Experiment, calibration: Calibration) -> float:
    """The seconds of a worker for one look at the test images, which each final takes."""
    return _slowdown(calibration) * experiment.data.test_size * calibration.eval_image_s


def _slowdown(calibration: Calibration) -> float:
    return calibration.slowdown * (RAY_LOAD if calibration.uses_ray else 1.0)


def _steps(arm: ArmSpace, epochs: float, pace: ArmPace) -> float:
    if arm.steps is not None:
        return float(arm.steps)
    return epochs / pace.step_epochs if pace.step_epochs else 0.0


def _mean_sample_s(arm: ArmSpace, pace: ArmPace) -> float:
    dimension = arm.space.get("batch_size")
    if isinstance(dimension, Choice):
        return float(np.mean([pace.sample_s(float(size)) for size in dimension.values]))
    if isinstance(dimension, Range):
        spaced = np.geomspace if dimension.scale == "log" else np.linspace
        return float(np.mean([pace.sample_s(size) for size in spaced(dimension.low, dimension.high, 33)]))
    return pace.sample_s(float(dimension.value) if dimension else 0)


def _evaluations(experiment: Experiment, arm: ArmSpace, epochs: float, steps: float) -> tuple[float, float]:
    """How many records a trial has, and how many images are evaluated for them."""
    data, budget = experiment.data, experiment.budget
    asks = arm.torch_class is None and optimizers.ARMS[arm.name].sees.asks_for_the_loss
    n_records = min(epochs, steps) if steps else epochs
    n_validations = n_records if asks else math.ceil(n_records / budget.eval_every)
    n_images = n_validations * data.val_size
    if experiment.objective == "train_loss":
        n_images += n_records * min(data.train_size, data.val_size)
    return n_records, n_images


def makespan_s(durations: Iterable[float], n_workers: int) -> float:
    """When the last of the jobs is done that `n_workers` take one after the other, in this order."""
    free = [0.0] * n_workers
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def start_s(calibration: Calibration) -> float:
    """The seconds before the first trial and after the last one."""
    return PROGRAM_S + calibration.load_s + calibration.ready_s + (RAY_S if calibration.uses_ray else 0)


@dataclass(frozen=True, slots=True)
class Phases:
    """The seconds of the search, of the finals, and besides them; `trial_s` those of the longest trial."""

    search: Span
    finals: Span
    start_s: float
    trial_s: float

    @property
    def total(self) -> Span:
        """From the command's start to its end; no wider than `WIDEST`."""
        return narrowed(self.search + self.finals + exactly(self.start_s))


def phases(experiment: Experiment, calibration: Calibration, trained: Span | None) -> Phases:
    """What passes until the sweep's end.

    `trained` is the share of their epochs that the search's trials are trained, where a pruner gives some up:
    then search and finals are ranges, widened by what a pace may miss. The finals begin when the last
    trial of the search is over.
    """
    trials = {arm.name: trial_s(experiment, arm, calibration) for arm in experiment.arms}
    rounds = range(experiment.budget.trials_per_optimizer)

    def search_s(share: float) -> float:
        shares = {arm.name: share if arm.steps is None else 1.0 for arm in experiment.arms}
        durations = (trials[name] * (shares[name] if number else 1.0) for number in rounds for name in trials)
        return makespan_s(durations, calibration.n_workers)

    search = exactly(search_s(1.0))
    if trained is not None:
        low, high = search_s(trained.low) / PACE_ERROR, search_s(trained.high) * PACE_ERROR
        search = narrowed(Span(low, high))
    finals_s = (
        seconds + testing_s(experiment, calibration)
        for _ in range(experiment.n_finals_each)
        for seconds in trials.values()
    )
    finals = makespan_s(finals_s, calibration.n_workers)
    by = PACE_ERROR if trained is not None else 1.0
    return Phases(search, Span(finals / by, finals * by), start_s(calibration), max(trials.values()))


def capped(expected: Phases, max_seconds: float) -> Span:
    """The sweep's seconds where it hands nothing out after `max_seconds`; what runs then is finished."""
    limit = expected.start_s + max_seconds
    total = expected.total
    return Span(min(total.low, limit), min(total.high, limit + expected.trial_s))
