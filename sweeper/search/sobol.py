"""Settings from a scrambled Sobol sequence: they cover a space more evenly than chance does.

A trial's number is its index in the sequence; index 0 belongs to the untuned trial and is skipped. The first
columns are those of `[space]`, scrambled alike for every arm: common random numbers. An arm's own dimensions
have the columns after those, in a scrambling of the arm's own. Each column is scrambled by itself, and any
scrambling of single columns leaves a (t, m, s)-net one (Owen, "Randomly permuted (t,m,s)-nets and
(t,s)-sequences", 1995; scipy's is the random linear scrambling of Matousek, "On the L2-discrepancy for
anchored boxes", 1998), so columns of two scramblings together are as even as those of one.
"""

import numpy as np

from sweeper import seeds, space
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Value
from sweeper.search.samplers import Draw
from sweeper.space import Choice, Dimension, Fixed, Range


def sobol_draw(experiment: Experiment, arm: ArmSpace) -> Draw:
    """Draws trials of `arm`, by their numbers."""
    shared, own = _searched(experiment.space), _searched(arm.own)
    used = [(column, name) for column, name in enumerate(shared) if name in arm.shared]

    def draw(number: int) -> dict[str, Value]:
        # How scipy scrambles a column depends on the number of columns, so all shared ones are drawn always.
        points = _point(seeds.sobol(experiment.seed), len(shared), number)
        shared_units = [(name, shared[name], points[column]) for column, name in used]
        points = _point(seeds.sobol(experiment.seed, arm.name), len(shared) + len(own), number)
        own_units = [(name, own[name], u) for name, u in zip(own, points[len(shared) :], strict=True)]
        return {
            space.proposal_name(name, dimension): space.from_unit(dimension, u)
            for name, dimension, u in own_units + shared_units
        }

    return draw


def _searched(dimensions: dict[str, Dimension] | space.Space) -> dict[str, Choice | Range]:
    return {name: d for name, d in dimensions.items() if not isinstance(d, Fixed)}


def _point(seed: int, n_columns: int, index: int) -> list[float]:
    """One point of the sequence, each coordinate in [0, 1)."""
    if not n_columns:
        return []
    from scipy.stats import qmc  # half a second, for this sampler alone

    engine = qmc.Sobol(n_columns, rng=np.random.default_rng(seed))
    engine.fast_forward(index)
    return [float(u) for u in engine.random(1)[0]]
