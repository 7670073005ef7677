"""An Optuna study in memory that remembers the best and the latest results, so that an ask stays cheap."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, create_trial

from sweeper import scoring
from sweeper.experiment import Experiment
from sweeper.records import Params, Prior, StoredTrial, Trial, TrialKey, TrialState
from sweeper.search.samplers import Distributions

HISTORY_BEST, HISTORY_LATEST, REBUILD_AFTER = 50, 150, 100
"""TPE sees a study's best 50 and latest 150 finished trials; the study is rebuilt when it grows by 100."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished trial taught: its state, and its score after its last epoch."""

    proposal: Params
    state: TrialState
    score: float
    epoch: int

    @classmethod
    def stored(cls, experiment: Experiment, trial: StoredTrial) -> "Result":
        """What the store knows of a finished trial."""
        value: float | None = getattr(trial, experiment.objective)
        return cls(trial.trial.proposal, trial.state, experiment.score(value), trial.epochs)


class Study:
    """What one search has seen, and TPE's proposals from it.

    `distributions` are of every parameter that a trial of the study may have. Trials without a proposal are
    none of its business.
    """

    def __init__(
        self,
        experiment: Experiment,
        distributions: Distributions,
        known: Iterable[StoredTrial],
        priors: Iterable[Prior],
    ) -> None:
        self._experiment = experiment
        self._distributions = distributions
        self._higher = scoring.higher_is_better(experiment.objective)
        self._results = [Result(prior.proposal, TrialState.COMPLETE, prior.score, 0) for prior in priors]
        self._open: dict[TrialKey, Params] = {}
        for stored in known:
            if not stored.trial.proposal:
                continue
            if stored.state.is_finished:
                self._results.append(Result.stored(experiment, stored))
            else:
                self._open[stored.key] = stored.trial.proposal
        self._rebuild()

    def propose(self, sampler: BaseSampler, suggest: Callable[[optuna.Trial], None]) -> dict[str, Any]:
        """What `sampler` gives where `suggest` asks for it. The study doesn't remember it: see `begin`."""
        self._study.sampler = sampler
        asked = self._study.ask()
        suggest(asked)
        proposal = asked.params
        self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return proposal

    def begin(self, trial: Trial) -> None:
        """From now on `trial` is under way: other proposals keep away from it."""
        if trial.proposal:
            self._open[trial.key] = trial.proposal
            self._add_open(trial.key)

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int) -> None:
        """Learn from a finished trial."""
        if self._open.pop(trial.key, None) is None:
            return
        result = Result(trial.proposal, state, self._experiment.score(objective_value), epoch)
        self._results.append(result)
        told = self._optuna_numbers.pop(trial.key)
        if state is TrialState.COMPLETE:
            self._study.tell(told, result.score)
        else:
            # A study keeps a told trial as it is; one that carries its last value has to be added whole.
            self._study.tell(told, state=optuna.trial.TrialState.FAIL)
            self._study.add_trial(self._frozen(result))
        self._n_told += 1
        if self._n_told >= HISTORY_BEST + HISTORY_LATEST + REBUILD_AFTER:
            self._rebuild()

    def _rebuild(self) -> None:
        """A new study of the results worth remembering and of the trials that are under way."""
        self._study = optuna.create_study(direction="maximize" if self._higher else "minimize")
        self._optuna_numbers: dict[TrialKey, int] = {}
        # What is forgotten now would never be remembered again: there are 50 better ones.
        self._results = worth_remembering(self._results, higher_is_better=self._higher)
        self._study.add_trials([self._frozen(result) for result in self._results])
        self._n_told = len(self._results)
        for key in self._open:
            self._add_open(key)

    def _add_open(self, key: TrialKey) -> None:
        self._study.add_trial(self._created(self._open[key], state=optuna.trial.TrialState.RUNNING))
        self._optuna_numbers[key] = len(self._study.get_trials(deepcopy=False)) - 1

    def _frozen(self, result: Result) -> FrozenTrial:
        """A result as Optuna knows it: complete with a score, pruned with its last one, failed as failed.

        A diverged one is pruned at NaN, and before any that a pruner gave up: no trial is worse.
        """
        outcome: dict[str, Any] = {"state": optuna.trial.TrialState.FAIL}
        if result.state is TrialState.COMPLETE:
            outcome = {"value": result.score}
        elif result.state is TrialState.PRUNED:
            seen = {max(result.epoch, 1): result.score}
            outcome = {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": seen}
        elif result.state is TrialState.DIVERGED:
            outcome = {"state": optuna.trial.TrialState.PRUNED, "intermediate_values": {1: math.nan}}
        return self._created(result.proposal, **outcome)

    def _created(self, proposal: Params, **outcome: Any) -> FrozenTrial:
        distributions = {name: self._distributions[name] for name in proposal}
        return create_trial(params=dict(proposal), distributions=distributions, **outcome)


def worth_remembering(results: list[Result], *, higher_is_better: bool) -> list[Result]:
    """The best 50 and the latest 150 of `results`, in the order in which they came."""
    if len(results) <= HISTORY_BEST + HISTORY_LATEST:
        return results
    earlier, latest = results[:-HISTORY_LATEST], results[-HISTORY_LATEST:]
    complete = [place for place, result in enumerate(earlier) if result.state is TrialState.COMPLETE]
    ranked = sorted(complete, key=lambda place: earlier[place].score, reverse=higher_is_better)
    return [earlier[place] for place in sorted(ranked[:HISTORY_BEST])] + latest


def suggest_all(trial: optuna.Trial, distributions: Mapping[str, Any]) -> None:
    """Ask `trial` for a value of each of `distributions`."""
    for name, distribution in distributions.items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            trial.suggest_categorical(name, distribution.choices)
        elif isinstance(distribution, optuna.distributions.IntDistribution):
            trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
        else:
            trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
