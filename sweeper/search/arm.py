"""One arm's trials: which exist already, the untuned one, and the ones that look at no other trial."""

import itertools
from collections.abc import Iterable
from typing import Any

from sweeper import optimizers, seeds, space
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Origin, Params, Phase, StoredTrial, Trial, TrialKey, Value
from sweeper.search.grid import grid_draw
from sweeper.search.samplers import Draw, distributions, random_draw
from sweeper.search.sobol import sobol_draw
from sweeper.space import Range


class ArmTrials:
    """Makes one arm's trials and remembers which ones exist; `known` are those that the store holds."""

    def __init__(self, experiment: Experiment, arm: ArmSpace, known: Iterable[StoredTrial] = ()) -> None:
        self.name = arm.name
        self._experiment = experiment
        self._rule = arm.arm
        self.space = arm.space
        self.distributions = distributions(self.space)
        self._draw = self._make_draw(arm)
        self._numbers: set[int] = set()
        self._settings: set[frozenset[tuple[str, Value]]] = set()
        self._next = 0
        for stored in known:
            self.begin(stored.trial)

    @property
    def n_begun(self) -> int:
        """How many of the arm's trials exist, in any state."""
        return len(self._numbers)

    @property
    def next_number(self) -> int:
        """The lowest number that no trial has."""
        self._next = next(number for number in itertools.count(self._next) if number not in self._numbers)
        return self._next

    def begin(self, trial: Trial) -> Trial:
        """Count `trial` in."""
        self._numbers.add(trial.key.number)
        self._settings.add(frozenset(trial.params.items()))
        return trial

    def is_repetition(self, trial: Trial) -> bool:
        """Whether an earlier trial has the same parameters though a continuous dimension is searched."""
        is_continuous = any(isinstance(d, Range) and not d.integer for d in self.space.values())
        return is_continuous and frozenset(trial.params.items()) in self._settings

    def untuned(self) -> Trial:
        """Trial 0: what a user of torch gets who changes nothing."""
        params, values = self._untuned_params(), self._untuned_values()
        proposal = space.encode(self.space, values) or {}
        return self._trial(0, params, proposal, Origin.DEFAULT, independent=False)

    def independent(self, number: int) -> Trial:
        """A trial that depends on the experiment's seed, the arm and `number` alone."""
        proposal = {**self._draw(number), **self.zeroed(number)}
        return self.proposed(number, proposal, independent=True)

    def proposed(self, number: int, proposal: Params, *, independent: bool) -> Trial:
        """The trial with the setting that `proposal` means."""
        params = optimizers.rule_params(space.decode(self.space, proposal))
        return self._trial(number, params, proposal, Origin.PROPOSED, independent)

    def zeroed(self, number: int) -> dict[str, Any]:
        """The decay rate that this trial sets to 0, as a proposal; empty for most trials, and in a grid."""
        name = self._rule.zeroed
        if name is None or number % optimizers.ZEROED_EVERY or self._experiment.search.sampler == "grid":
            return {}
        dimension = self.space[name]
        if not isinstance(dimension, Range) or dimension.scale != "one_minus_log" or dimension.low > 0:
            return {}
        others = (d for other, d in self.space.items() if other != name)
        is_alone = not any(isinstance(d, Range) and not d.integer for d in others)
        if is_alone and number > optimizers.ZEROED_EVERY:
            return {}  # it would be the same setting again
        return {space.proposal_name(name, dimension): 1.0}

    def _make_draw(self, arm: ArmSpace) -> Draw:
        if self._experiment.search.sampler == "grid":
            return grid_draw(self._experiment, arm, self._untuned_values())
        if self._experiment.search.sampler == "qmc":
            return sobol_draw(self._experiment, arm)
        return random_draw(self._experiment.seed, arm)

    def _untuned_values(self) -> dict[str, Value]:
        return optimizers.search_values(self._rule, self._untuned_params(), self.space)

    def _untuned_params(self) -> dict[str, Value]:
        """torch's values, and of the dimensions that arms share those that this one uses."""
        untuned: dict[str, Value] = {
            "weight_decay": self._rule.default.get("weight_decay", 0.0),
            "schedule": "constant",
            "sampling": "shuffle",
            "init": self._experiment.model.init,
        }
        if "batch_size" in self.space:
            untuned["batch_size"] = space.lower_middle(self.space["batch_size"])
        shared = {name: untuned[name] for name in space.SHARED if name in self.space}
        return {**self._rule.default, **shared}

    def _trial(
        self, number: int, params: Params, proposal: Params, origin: Origin, independent: bool
    ) -> Trial:
        return Trial(
            key=TrialKey(self.name, Phase.SEARCH, number),
            seed=seeds.search_trial(self._experiment.seed, number),
            params=params,
            proposal=proposal,
            origin=origin,
            independent=independent,
            setting=number,
        )
