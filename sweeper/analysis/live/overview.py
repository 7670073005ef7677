"""How far a sweep is, from counts that the database makes: nothing here reads trials one by one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeper import scoring
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, SweepInfo, SweepState, TrialState
from sweeper.store.counts import Count

TRIED = (Origin.PROPOSED, Origin.IMPORTED)
"""Where a setting comes from that the search's best is chosen among: not the untuned one."""


@dataclass(frozen=True, slots=True)
class ArmProgress:
    """How many of an optimizer's trials of the search have ended, of how many; None where nobody knows."""

    optimizer: str
    done: int
    total: int | None
    running: int


@dataclass(frozen=True, slots=True)
class Overview:
    """How far a sweep is.

    `n_finals` are the finals there will be at most. `best` is the best score of the `n_tried` settings tried,
    NaN before the first. `workers` are at work just now. `epochs` and `busy_s` are what the trials' latest
    attempts have spent in training and evaluation. `left_s` is what the rest takes at this pace with these
    workers, None where that can't be said.
    """

    info: SweepInfo
    experiment: Experiment
    arms: tuple[ArmProgress, ...]
    n_finals_done: int
    n_finals: int
    best: float
    n_tried: int
    workers: int
    epochs: int
    busy_s: float
    left_s: float | None

    @property
    def is_running(self) -> bool:
        """Whether a coordinator runs the sweep."""
        return self.info.state is SweepState.RUNNING

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more, unless the sweep is extended."""
        return self.info.state is SweepState.COMPLETE

    @property
    def n_done(self) -> int:
        """Trials of the search that have ended."""
        return sum(arm.done for arm in self.arms)

    @property
    def n_trials(self) -> int:
        """Trials that the search has."""
        return self.n_done if self.experiment.imported else self.experiment.n_trials

    @property
    def is_equal(self) -> bool:
        """Whether all optimizers have had equal numbers of trials: before that nothing ranks them."""
        return len({arm.done for arm in self.arms}) <= 1


def overview(info: SweepInfo, experiment: Experiment, counts: Sequence[Count], workers: int) -> Overview:
    """How far the sweep is whose trials are counted in `counts`."""
    finals = [one for one in counts if one.phase is Phase.FINAL and one.origin is not Origin.SUPERSEDED]
    n_finals_done = sum(one.n for one in finals if one.state.is_finished)
    is_over = info.state is SweepState.COMPLETE or experiment.imported is not None
    tried = [one for one in counts if one.phase is Phase.SEARCH and one.origin in TRIED]
    arms = tuple(_arm(arm.name, experiment, counts) for arm in experiment.arms)
    n_searched = sum(arm.done for arm in arms)
    most = _most_finals(experiment, tried) if n_searched >= experiment.n_trials else experiment.n_finals
    n_finals = n_finals_done if is_over else max(most, n_finals_done)
    return Overview(
        info=info,
        experiment=experiment,
        arms=arms,
        n_finals_done=n_finals_done,
        n_finals=n_finals,
        best=_best(tried, experiment),
        n_tried=sum(one.n for one in tried if one.state.has_score),
        workers=workers,
        epochs=sum(one.epochs for one in counts),
        busy_s=sum(one.seconds for one in counts),
        left_s=_left_s(info, experiment, counts, n_finals - n_finals_done, workers),
    )


def _arm(name: str, experiment: Experiment, counts: Sequence[Count]) -> ArmProgress:
    mine = [one for one in counts if one.optimizer == name and one.phase is Phase.SEARCH]
    done = sum(one.n for one in mine if one.state.is_finished)
    running = sum(one.n for one in mine if one.state is TrialState.RUNNING)
    if experiment.imported:
        return ArmProgress(name, done, done, 0)
    is_joint = experiment.search.mode == "joint"
    return ArmProgress(name, done, None if is_joint else experiment.budget.trials_per_optimizer, running)


def _best(tried: Sequence[Count], experiment: Experiment) -> float:
    """The best score, as the summary has it; one that diverged scores as chance."""
    scored = [one for one in tried if one.state.has_score]
    if not scored:
        return math.nan
    is_higher = scoring.higher_is_better(experiment.objective)
    values = [
        None if one.state is TrialState.DIVERGED else one.highest if is_higher else one.lowest
        for one in scored
    ]
    known = [score for score in map(experiment.score, values) if not math.isnan(score)]
    return (max if is_higher else min)(known, default=math.nan)


def _most_finals(experiment: Experiment, tried: Sequence[Count]) -> int:
    """How many finals a search that is over leads to: an optimizer with few scores has few settings."""
    final, most = experiment.final, 0
    for arm in experiment.arms:
        n_scored = sum(one.n for one in tried if one.optimizer == arm.name and one.state.has_score)
        each = final.seeds * (min(final.top_k, n_scored) + final.untuned)
        most += min(each, experiment.n_finals_each)
    return most


def _left_s(
    info: SweepInfo, experiment: Experiment, counts: Sequence[Count], n_finals_left: int, workers: int
) -> float | None:
    """Epochs to go, at the mean cost of those so far, shared by the workers."""
    epochs = sum(one.epochs for one in counts)
    if info.state is not SweepState.RUNNING or not epochs or not workers:
        return None
    n_done = sum(one.n for one in counts if one.phase is Phase.SEARCH and one.state.is_finished)
    n_left = max(experiment.n_trials - n_done, 0) + n_finals_left
    begun = sum(one.epochs for one in counts if not one.state.is_finished)
    left = max(n_left * experiment.budget.epochs - begun, 0)
    return left * sum(one.seconds for one in counts) / epochs / workers
