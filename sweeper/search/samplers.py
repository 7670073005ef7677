"""Optuna's distributions and samplers, as the search uses them."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, PartialFixedSampler, TPESampler
from optuna.trial import FrozenTrial

from sweeper import seeds, space
from sweeper.experiment import ArmSpace
from sweeper.records import Value
from sweeper.space import Choice, Dimension, Fixed, Range

Distributions = Mapping[str, BaseDistribution]
Draw = Callable[[int], dict[str, Value]]
"""Gives the proposal of the trial with a number, without looking at any other trial."""


def distributions(dimensions: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """What Optuna draws from, by the names in proposals; fixed dimensions are left out."""
    return {
        space.proposal_name(name, dimension): _distribution(dimension)
        for name, dimension in dimensions.items()
        if not isinstance(dimension, Fixed)
    }


def _distribution(dimension: Choice | Range) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    low, high = space.proposal_bounds(dimension)
    is_log = dimension.scale != "linear"
    if dimension.integer:
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)


def random_draw(experiment_seed: int, arm: ArmSpace) -> Draw:
    """Draws each dimension from a random stream of its own, named by seed, scope, number and dimension.

    Dimensions that all arms share have the scope `space`, so that every arm draws the same values.
    """
    own, shared = distributions(arm.own), distributions(arm.shared)
    stream = np.random.RandomState(0)

    def draw(number: int) -> dict[str, Value]:
        proposal: dict[str, Value] = {}
        for name, distribution in {**own, **shared}.items():
            scope = "space" if name in shared else arm.name
            stream.seed(seeds.proposal(experiment_seed, scope, number, name))
            proposal[name] = _drawn(stream, distribution)
        return proposal

    return draw


def _drawn(stream: np.random.RandomState, distribution: BaseDistribution) -> Value:
    """What Optuna's `RandomSampler` draws, which takes ten times as long to make a sampler for each draw."""
    if isinstance(distribution, CategoricalDistribution):
        chosen = int(np.argmax(stream.uniform(size=len(distribution.choices))))
        return cast("Value", distribution.choices[chosen])
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    is_whole = isinstance(distribution, IntDistribution)
    margin = 0.5 if is_whole else 0.0
    first, last = low - margin, high + margin
    if distribution.log:
        drawn = math.exp(stream.uniform(math.log(first), math.log(last)))
    else:
        drawn = float(stream.uniform(first, last))
    if is_whole:
        return int(min(max(round(drawn), low), high))
    return max(min(drawn, math.nextafter(high, high - 1)), low)


class Guide(TPESampler):
    """TPE for studies whose trials all have the parameters `searched`; `seeded` anew for each proposal.

    Optuna looks at every trial for the parameters that all of them share, anew for each sampler, and takes
    every trial's values apart again for each proposal. Here both are done once; the proposals are the same.
    """

    def __init__(self, searched: Distributions) -> None:
        super().__init__(n_startup_trials=1)
        self._searched = {name: d for name, d in sorted(searched.items()) if not d.single()}
        self._seen: WeakKeyDictionary[optuna.Study, dict[int, list[float]]] = WeakKeyDictionary()

    def seeded(self, seed: int, fixed: Mapping[str, Any]) -> BaseSampler:
        """The sampler for one trial, with the proposals that `fixed` holds left as they are.

        It is seeded by the trial's number: in a rebuilt study an old seed would repeat itself.
        """
        for stream in (self._rng, self._random_sampler._rng):  # the latter's where no trial has ended yet
            stream.rng.seed(seed)
        if not fixed:
            return self
        with warnings.catch_warnings():  # it has been "experimental" since Optuna 2.4
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return PartialFixedSampler(dict(fixed), self)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All that is searched."""
        return dict(self._searched)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, np.ndarray]:
        """The trials' values as TPE models them, an array for each parameter in `search_space`."""
        seen = self._seen.setdefault(study, {})
        for trial in trials:
            if trial.number not in seen:
                seen[trial.number] = self._values(trial)
        values = np.array([seen[trial.number] for trial in trials]).reshape(-1, len(self._searched))
        return {name: values[:, k] for k, name in enumerate(self._searched) if name in search_space}

    def _values(self, trial: FrozenTrial) -> list[float]:
        return [float(d.to_internal_repr(trial.params[name])) for name, d in self._searched.items()]


def guided_in_groups(seed: int) -> BaseSampler:
    """TPE for one trial of a study whose trials have different dimensions: each group is modelled jointly."""
    with warnings.catch_warnings():  # `group` has been "experimental" since Optuna 2.8
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(n_startup_trials=1, seed=seed, multivariate=True, group=True)
