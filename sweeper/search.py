"""Asks Optuna what to try next: one study per arm, in memory, rebuilt from the store after an interruption.

Independent trials (`random`, and TPE's start-up trials) are a pure function of the experiment's seed, the arm
and the trial's number. What all arms share (`[space]`, the trial's seed) is drawn without the arm's name, so
trial *n* of every arm has the same batch size, initial weights and data order: common random numbers.
"""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from sweeper import optimizers, scoring, seeds, space
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Origin, Params, Phase, StoredTrial, Trial, TrialKey, TrialState, Value
from sweeper.space import Choice, Dimension, Fixed, Range

HISTORY_BEST, HISTORY_LATEST, REBUILD_AFTER = 50, 150, 100
"""TPE sees an arm's best 50 and latest 150 finished trials; the study is rebuilt when it grows by 100."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Search:
    """What an experiment has left to try, and what its results teach.

    `known` are the trials that the store already holds, whatever their state.
    """

    def __init__(self, experiment: Experiment, known: Iterable[StoredTrial] = (), priors: Any = None) -> None:
        stored = [trial for trial in known if trial.key.phase is Phase.SEARCH]
        self._arms = {
            arm.name: ArmSearch(experiment, arm, [t for t in stored if t.key.optimizer == arm.name])
            for arm in experiment.arms
        }

    def ask(self) -> Trial | None:
        """The next trial, of the arm that has begun the fewest; None where nothing is left to try."""
        return min(self._arms.values(), key=lambda arm: arm.n_asked).ask()  # ties: in the file's order

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int = 0) -> None:
        """Learn from a finished trial: its state, and its objective's raw value after its last epoch."""
        self._arms[trial.key.optimizer].tell(trial, state, objective_value)


@dataclass(frozen=True, slots=True)
class _Result:
    """What a finished trial taught: its state and its score."""

    trial: Trial
    state: TrialState
    score: float


class ArmSearch:
    """One arm's trials and its study."""

    def __init__(self, experiment: Experiment, arm: ArmSpace, known: Iterable[StoredTrial] = ()) -> None:
        self._experiment = experiment
        self._arm = arm
        self._rule = arm.arm
        self._space = arm.space
        self._distributions = {
            space.proposal_name(name, dimension): _distribution(dimension)
            for name, dimension in self._space.items()
            if not isinstance(dimension, Fixed)
        }
        self._asked: set[int] = set()
        self._open: dict[int, Trial] = {}
        self._results: list[_Result] = []
        for stored in known:
            self._asked.add(stored.key.number)
            if stored.state.is_finished:
                self._results.append(self._result(stored.trial, stored.state, _objective(experiment, stored)))
            else:
                self._open[stored.key.number] = stored.trial
        self._rebuild()

    @property
    def n_asked(self) -> int:
        """How many of the arm's trials exist, in any state."""
        return len(self._asked)

    def ask(self) -> Trial | None:
        """The arm's next trial, or None where its budget is used up."""
        number = len(self._asked)
        if number >= self._experiment.budget.trials_per_optimizer:
            return None
        trial = self._proposed(number) if number else self._untuned()
        self._asked.add(number)
        self._open[number] = trial
        return trial

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None) -> None:
        """Learn from a finished trial."""
        del self._open[trial.key.number]
        result = self._result(trial, state, objective_value)
        self._results.append(result)
        if (told := self._optuna_numbers.pop(trial.key.number, None)) is None:
            return
        if result.state is TrialState.COMPLETE:
            self._study.tell(told, result.score)
        else:
            # A study keeps a told trial as it is; one that carries its last value has to be added whole.
            self._study.tell(told, state=optuna.trial.TrialState.FAIL)
            self._study.add_trial(self._frozen(result))
        self._told += 1
        if self._told >= HISTORY_BEST + HISTORY_LATEST + REBUILD_AFTER:
            self._rebuild()

    def _result(self, trial: Trial, state: TrialState, objective_value: float | None) -> _Result:
        return _Result(trial, state, self._experiment.score(objective_value))

    def _untuned(self) -> Trial:
        """Trial 0: what a user of torch gets who changes nothing."""
        params: dict[str, Value] = {**self._rule.default, **self._untuned_shared()}
        values = optimizers.search_values(self._rule, params, self._space)
        proposal = space.encode(self._space, values) or {}
        if proposal:
            self._add_open(0, proposal)
        return self._trial(0, params, proposal, Origin.DEFAULT, independent=False)

    def _untuned_shared(self) -> dict[str, Value]:
        """What trial 0 has of the dimensions that arms share, as far as this one uses them."""
        untuned: dict[str, Value] = {
            "weight_decay": self._rule.default.get("weight_decay", 0.0),
            "schedule": "constant",
            "sampling": "shuffle",
            "init": self._experiment.model.init,
        }
        if "batch_size" in self._space:
            untuned["batch_size"] = space.lower_middle(self._space["batch_size"])
        return {name: untuned[name] for name in space.SHARED if name in self._space}

    def _proposed(self, number: int) -> Trial:
        independent = self._experiment.search.sampler == "random" or number <= self._experiment.startup_trials
        proposal: Params = {}
        if self._distributions:
            self._study.sampler = self._sampler(number, independent)
            asked = self._study.ask(fixed_distributions=self._distributions)
            self._optuna_numbers[number] = asked.number
            proposal = asked.params
        params = optimizers.rule_params(space.decode(self._space, proposal))
        return self._trial(number, params, proposal, Origin.PROPOSED, independent)

    def _trial(
        self, number: int, params: Params, proposal: Params, origin: Origin, independent: bool
    ) -> Trial:
        return Trial(
            key=TrialKey(self._arm.name, Phase.SEARCH, number),
            seed=seeds.search_trial(self._experiment.seed, number),
            params=params,
            proposal=proposal,
            origin=origin,
            independent=independent,
            setting=number,
        )

    def _sampler(self, number: int, independent: bool) -> BaseSampler:
        """The sampler of one trial, seeded by its number: a rebuilt study would else repeat itself."""
        sampler: BaseSampler
        if independent:
            sampler = _IndependentSampler(self._experiment.seed, self._arm, number)
        else:
            seed = seeds.proposal(self._experiment.seed, self._arm.name, number)
            sampler = TPESampler(n_startup_trials=1, seed=seed)
        if zeroed := self._zeroed(number):
            with warnings.catch_warnings():  # it has been "experimental" since Optuna 2.4
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = PartialFixedSampler(zeroed, sampler)
        return sampler

    def _zeroed(self, number: int) -> dict[str, Any]:
        """The decay rate that this trial sets to 0, as a proposal; empty for most trials."""
        name = self._rule.zeroed
        if name is None or number % optimizers.ZEROED_EVERY:
            return {}
        dimension = self._space[name]
        if not isinstance(dimension, Range) or dimension.scale != "one_minus_log" or dimension.low > 0:
            return {}
        return {space.proposal_name(name, dimension): 1.0}

    def _rebuild(self) -> None:
        """A new study of the results worth remembering and of the trials that are under way."""
        higher = scoring.higher_is_better(self._experiment.objective)
        self._study = optuna.create_study(direction="maximize" if higher else "minimize")
        self._optuna_numbers: dict[int, int] = {}
        remembered = self._remembered(higher)
        self._study.add_trials([self._frozen(result) for result in remembered])
        self._told = len(remembered)
        for number, trial in self._open.items():
            if trial.proposal:
                self._add_open(number, trial.proposal)

    def _remembered(self, higher: bool) -> list[_Result]:
        """The best 50 and the latest 150 results, in the order in which they came."""
        told = [result for result in self._results if result.trial.proposal]
        if len(told) <= HISTORY_BEST + HISTORY_LATEST:
            return told
        latest, earlier = told[-HISTORY_LATEST:], told[:-HISTORY_LATEST]
        complete = [r for r in earlier if r.state is TrialState.COMPLETE]
        best = sorted(complete, key=lambda r: r.score, reverse=higher)[:HISTORY_BEST]
        numbers = {r.trial.key.number for r in best}
        return [r for r in earlier if r.trial.key.number in numbers] + latest

    def _add_open(self, number: int, proposal: Params) -> None:
        running = create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=dict(proposal),
            distributions=self._distributions,
        )
        self._study.add_trial(running)
        self._optuna_numbers[number] = len(self._study.get_trials(deepcopy=False)) - 1

    def _frozen(self, result: _Result) -> FrozenTrial:
        """A result as Optuna knows it: complete with a score, diverged as pruned at NaN, failed as failed."""
        outcome: dict[str, Any] = {"state": optuna.trial.TrialState.FAIL}
        if result.state is TrialState.COMPLETE:
            outcome = {"value": result.score}
        elif result.state is TrialState.DIVERGED:
            outcome = {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": {1: math.nan}}
        return create_trial(params=dict(result.trial.proposal), distributions=self._distributions, **outcome)


class _IndependentSampler(BaseSampler):
    """Draws each dimension from a random stream of its own, named by seed, scope, trial number and dimension.

    Dimensions that all arms share have the scope `space`, so that every arm draws the same values.
    """

    def __init__(self, experiment_seed: int, arm: ArmSpace, number: int) -> None:
        self._seed = experiment_seed
        self._arm = arm
        self._number = number

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        shared = {space.proposal_name(name, d) for name, d in self._arm.shared.items()}
        scope = "space" if param_name in shared else self._arm.name
        seed = seeds.proposal(self._seed, scope, self._number, param_name)
        return RandomSampler(seed).sample_independent(study, trial, param_name, param_distribution)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    assert isinstance(dimension, Range)
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.scale == "log")
    if dimension.scale == "one_minus_log":
        return FloatDistribution(1 - dimension.high, 1 - dimension.low, log=True)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.scale == "log")


def _objective(experiment: Experiment, stored: StoredTrial) -> float | None:
    value: float | None = getattr(stored, experiment.objective)
    return value
