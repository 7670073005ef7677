"""What an experiment will cost and can decide, before anything is spent."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.api import preparation
from sweeper.api.job import WorkerCount
from sweeper.experiment import ArmSpace, Experiment
from sweeper.experiment.searched import Searched, searched
from sweeper.lab import forecast
from sweeper.lab.calibration import Calibration
from sweeper.lab.calibration_run import measure
from sweeper.lab.forecast import Span
from sweeper.lab.savings import trained_share
from sweeper.training import data


@dataclass(frozen=True, slots=True)
class Cost:
    """Trials, what they cost at most in epochs and samples, and, where that was worked out, the seconds."""

    trials: int
    epochs: float
    samples: int
    seconds: Span | None = None

    def __add__(self, other: "Cost") -> "Cost":
        """Both together; without seconds, for what runs side by side has none of its own."""
        return Cost(self.trials + other.trials, self.epochs + other.epochs, self.samples + other.samples)


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One optimizer: the cost of its search and of its finals, and its space.

    `steps` is its own budget, if any. `independent` of its trials are drawn without looking at others.
    `epoch_s` is what an epoch takes a worker, its validation included, where that was measured.
    """

    optimizer: str
    search: Cost
    finals: Cost
    steps: int | None
    space: tuple[Searched, ...]
    trials_per_dimension: float | None
    independent: int
    epoch_s: float | None


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """The rungs at which trials are given up (a tuple for each bracket), and the share of epochs saved."""

    pruner: str
    brackets: tuple[tuple[int, ...], ...]
    saved: Span


@dataclass(frozen=True, slots=True)
class Decidable:
    """What the final seeds can decide, of an optimizer that is better than `n_others` equal ones.

    `fewest_seeds` is the least that can decide anything; `power_1sd` and `power_2sd` are the chances of
    naming it against one of them, if it is one or two standard deviations of the scores better.
    """

    n_seeds: int
    n_others: int
    fewest_seeds: int
    power_1sd: float
    power_2sd: float


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment's plan. Seconds and `calibration` are None where nothing was measured."""

    experiment: Experiment
    arms: tuple[ArmPlan, ...]
    search: Cost
    finals: Cost
    total: Cost
    pruning: PruningPlan | None
    decidable: Decidable | None
    calibration: Calibration | None
    is_capped: bool
    """Whether `budget.max_seconds` will end the sweep before everything is trained, or may do so."""


def plan(
    source: Experiment | Path | str,
    settings: Sequence[str] = (),
    *,
    workers: WorkerCount | None = None,
    data_dir: Path | str | None = None,
    calibrate: bool = True,
) -> Plan:
    """The plan of the experiment `source`, with "key=value" `settings` on top, as `run` would run it here.

    `calibrate` trains every arm for a moment on this machine, fifteen seconds or so in all, for the
    seconds to expect; without it no image is read. `workers` and `data_dir` are as in `run`.

    Raises ExperimentError and UsageError; with `calibrate` DataError, and SweeperError where training fails.
    """
    experiment = preparation.read(source, settings)
    count = preparation.worker_count(workers, experiment)
    calibration = None
    if calibrate:
        started = time.perf_counter()
        images = data.load(experiment, data.directory(data_dir))
        load_s = time.perf_counter() - started
        calibration = measure(experiment, images, count, n_trials=experiment.n_trials, load_s=load_s)
    return planned(experiment, calibration)


def planned(experiment: Experiment, calibration: Calibration | None = None) -> Plan:
    """The plan of an experiment, whose seconds are worked out from a calibration, where there is one."""
    arms = tuple(_arm(experiment, arm, calibration) for arm in experiment.arms)
    pruning = _pruning(experiment, calibration)
    nothing = Cost(0, 0.0, 0)
    search, finals = sum((a.search for a in arms), nothing), sum((a.finals for a in arms), nothing)
    seconds: tuple[Span | None, Span | None, Span | None] = (None, None, None)
    is_capped = False
    if calibration is not None:
        seconds, is_capped = _seconds(experiment, calibration, pruning)
    return Plan(
        experiment=experiment,
        arms=arms,
        search=_timed(search, seconds[0]),
        finals=_timed(finals, seconds[1]),
        total=_timed(search + finals, seconds[2]),
        pruning=pruning,
        decidable=_decidable(experiment),
        calibration=calibration,
        is_capped=is_capped,
    )


def _timed(cost: Cost, seconds: Span | None) -> Cost:
    return Cost(cost.trials, cost.epochs, cost.samples, seconds)


def _arm(experiment: Experiment, arm: ArmSpace, calibration: Calibration | None) -> ArmPlan:
    n_trials = experiment.budget.trials_per_optimizer
    space = searched(arm, experiment.search.sampler)
    epoch_s = None
    if calibration is not None:
        epochs = forecast.trial_epochs(experiment, arm)
        epoch_s = forecast.trial_s(experiment, arm, calibration) / epochs
    independent = n_trials - 1
    if experiment.search.sampler == "tpe":
        independent = min(experiment.startup_trials, independent)
    return ArmPlan(
        optimizer=arm.name,
        search=_cost(experiment, arm, n_trials),
        finals=_cost(experiment, arm, experiment.n_finals_each),
        steps=arm.steps,
        space=space,
        trials_per_dimension=(n_trials - 1) / len(space) if space else None,
        independent=independent,
        epoch_s=epoch_s,
    )


def _cost(experiment: Experiment, arm: ArmSpace, n_trials: int) -> Cost:
    epochs = n_trials * forecast.trial_epochs(experiment, arm)
    return Cost(n_trials, epochs, round(epochs * experiment.data.train_size))


def _pruning(experiment: Experiment, calibration: Calibration | None) -> PruningPlan | None:
    rules = experiment.pruning
    if rules.pruner == "none":
        return None
    trained = trained_share(experiment, calibration.n_workers if calibration else 1)
    brackets = rules.brackets() if rules.pruner == "hyperband" else [rules.rungs]
    if rules.pruner == "hyperband":
        brackets = [rules.evaluated(bracket) for bracket in brackets]
    return PruningPlan(rules.pruner, tuple(brackets), Span(1 - trained.high, 1 - trained.low))


CERTAIN = 200
"""So many seeds find a difference of one standard deviation always; more are not simulated."""

Power = Callable[[int, int, float], float]


def _decidable(experiment: Experiment) -> Decidable | None:
    """What the finals can decide; None where nothing is compared in them."""
    n_others = sum(arm.steps is None for arm in experiment.arms) - 1
    has_verdict = experiment.final.top_k and experiment.search.mode == "per_optimizer"
    if not has_verdict or n_others < 1:
        return None
    from sweeper import analysis

    return decidable(experiment.final.seeds, n_others, analysis.power, analysis.fewest_seeds)


def decidable(n_seeds: int, n_others: int, power: Power, fewest: Callable[[int], int]) -> Decidable:
    """What so many seeds can decide; `power` and `fewest` are those of `sweeper.analysis`."""
    simulated = min(n_seeds, CERTAIN)
    return Decidable(
        n_seeds=n_seeds,
        n_others=n_others,
        fewest_seeds=fewest(n_others),
        power_1sd=power(simulated, n_others, 1.0),
        power_2sd=power(simulated, n_others, 2.0),
    )


def _seconds(
    experiment: Experiment, calibration: Calibration, pruning: PruningPlan | None
) -> tuple[tuple[Span, Span, Span], bool]:
    """Search, finals and all of it, its start and end included; and whether the limit may cut it short."""
    trained = Span(1 - pruning.saved.high, 1 - pruning.saved.low) if pruning else None
    expected = forecast.phases(experiment, calibration, trained)
    limit = experiment.budget.max_seconds
    is_capped = bool(limit) and expected.total.high > expected.start_s + limit
    total = forecast.capped(expected, limit) if is_capped else expected.total
    return (expected.search, expected.finals, total), is_capped
