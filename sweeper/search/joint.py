"""One search of all optimizers: which one to try is a parameter like any other.

The study's parameters are `optimizer`, the dimensions of `[space]` by their names, and an arm's own as
`ARM.NAME`; these names stand in the trials' proposals. Balance between optimizers is not promised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

from sweeper import seeds
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Origin, Params, Prior, StoredTrial, Trial, TrialState, Value
from sweeper.search.arm import ArmTrials
from sweeper.search.per_optimizer import ATTEMPTS
from sweeper.search.samplers import distributions, guided_in_groups
from sweeper.search.study import Study, suggest_all

OPTIMIZER = "optimizer"


def names(arm: ArmSpace) -> dict[str, str]:
    """What the study of all optimizers calls the arm's parameters, by their names in the arm's own."""
    own = {name: f"{arm.name}.{name}" for name in distributions(arm.own)}
    return {**own, **{name: name for name in distributions(arm.shared)}}


def named(arm: ArmSpace, proposal: Params) -> dict[str, Value]:
    """A proposal of the arm's own, as the study of all optimizers knows it."""
    return {OPTIMIZER: arm.name, **{name: proposal[own] for own, name in names(arm).items()}}


class JointSearch:
    """The one search: every arm's untuned trial first, then as many as all arms' budgets together allow.

    Proposed trials have a place in the search, counted from 1. As many places as the arms have start-up
    trials together, and all of them without TPE, are independent: the place alone decides the arm.
    """

    def __init__(
        self,
        experiment: Experiment,
        known: Sequence[StoredTrial],
        priors: Mapping[str, Sequence[Prior]],
    ) -> None:
        self._experiment = experiment
        self._names = {arm.name: names(arm) for arm in experiment.arms}
        self._arms = {
            arm.name: ArmTrials(
                experiment, arm, [stored for stored in known if stored.key.optimizer == arm.name]
            )
            for arm in experiment.arms
        }
        self._n_proposed = sum(stored.trial.origin is Origin.PROPOSED for stored in known)
        self._study: Study | None = None
        if experiment.search.sampler == "tpe":
            told = [prior for name in self._arms for prior in priors.get(name, ())]
            self._study = Study(experiment, self._all_distributions(), known, told)

    def ask(self) -> Trial | None:
        """The next trial, or None where the arms' budgets together are used up."""
        if sum(arm.n_begun for arm in self._arms.values()) >= self._experiment.n_trials:
            return None
        trial = self._next()
        self._arms[trial.key.optimizer].begin(trial)
        if self._study is not None:
            self._study.begin(trial)
        return trial

    def tell(self, trial: Trial, state: TrialState, objective_value: float | None, epoch: int) -> None:
        """Learn from a finished trial."""
        if self._study is not None:
            self._study.tell(trial, state, objective_value, epoch)

    def _next(self) -> Trial:
        for arm in self._arms.values():
            if arm.next_number == 0:
                trial = arm.untuned()
                return self._named(trial) if trial.proposal else trial
        self._n_proposed += 1
        if self._study is None or self._n_proposed <= self._experiment.startup_trials * len(self._arms):
            place = seeds.joint(self._experiment.seed, self._n_proposed) % len(self._arms)
            arm = list(self._arms.values())[place]
            return self._named(arm.independent(arm.next_number))
        return self._guided(self._study)

    def _guided(self, study: Study) -> Trial:
        for attempt in range(ATTEMPTS):
            again = f"again {attempt}" if attempt else ""
            seed = seeds.proposal(self._experiment.seed, "joint", self._n_proposed, again)
            proposal = study.propose(guided_in_groups(seed), self._suggest)
            arm = self._arms[proposal[OPTIMIZER]]
            own = {name: proposal[joint] for name, joint in self._names[arm.name].items()}
            trial = arm.proposed(arm.next_number, own, independent=False)
            if not arm.is_repetition(trial):
                break
        return self._named(trial)

    def _suggest(self, trial: optuna.Trial) -> None:
        arm = self._arms[trial.suggest_categorical(OPTIMIZER, list(self._arms))]
        joint = self._names[arm.name]
        suggest_all(trial, {joint[name]: d for name, d in arm.distributions.items()})

    def _named(self, trial: Trial) -> Trial:
        return replace(trial, proposal=named(self._experiment.arm(trial.key.optimizer), trial.proposal))

    def _all_distributions(self) -> dict[str, BaseDistribution]:
        return {
            OPTIMIZER: CategoricalDistribution(list(self._arms)),
            **{
                self._names[arm.name][name]: distribution
                for arm in self._arms.values()
                for name, distribution in arm.distributions.items()
            },
        }
