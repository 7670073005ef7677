"""Optuna's distributions and samplers, as the search uses them."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

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


class _TPE(TPESampler):
    """TPE for a study whose trials all have the same parameters.

    Optuna looks at every trial of the study to find out which parameters they share, anew for each sampler.
    """

    def __init__(self, seed: int, searched: Distributions) -> None:
        super().__init__(n_startup_trials=1, seed=seed)
        self._searched = {name: d for name, d in sorted(searched.items()) if not d.single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All that is searched."""
        return dict(self._searched)


def guided(seed: int, searched: Distributions, fixed: Mapping[str, Any]) -> BaseSampler:
    """TPE for one trial of a study of `searched`, with the proposals that `fixed` holds left as they are.

    A sampler serves one trial and is seeded by its number: in a rebuilt study an old one would repeat itself.
    """
    sampler: BaseSampler = _TPE(seed, searched)
    if fixed:
        with warnings.catch_warnings():  # it has been "experimental" since Optuna 2.4
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = PartialFixedSampler(dict(fixed), sampler)
    return sampler


def guided_in_groups(seed: int) -> BaseSampler:
    """TPE for one trial of a study whose trials have different dimensions: each group is modelled jointly."""
    with warnings.catch_warnings():  # `group` has been "experimental" since Optuna 2.8
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(n_startup_trials=1, seed=seed, multivariate=True, group=True)
