"""A grid over the learning rate alone, everything else fixed: how sensitive an optimizer is, exactly.

A range is visited from its ends inwards, 0, 1, 1/2, 1/4, 3/4, 1/8, ... of its own scale (van der Corput's
sequence in base 2, after the ends), so a grid can be extended, and 2**k + 1 trials are evenly spaced.
A choice is visited in its order, again and again. With `repeats`, each search walks the whole grid.
"""

from sweeper import space
from sweeper.experiment import ArmSpace, Experiment
from sweeper.records import Params, Value
from sweeper.search.samplers import Draw
from sweeper.space import Choice, Fixed, Range

GRIDDED = ("effective_lr", "lr", "step")
"""What a grid is over: the first of these that an arm searches."""


def grid_draw(experiment: Experiment, arm: ArmSpace, untuned: Params) -> Draw:
    """Visits trials of `arm` by their numbers; `untuned` is trial 0's setting in search coordinates.

    An arm that searches no learning rate has a grid of one point.
    """
    gridded = next((name for name in GRIDDED if isinstance(arm.space.get(name), Choice | Range)), None)
    fixed = {
        name: _fixed(name, dimension, untuned) for name, dimension in arm.space.items() if name != gridded
    }
    proposal = space.encode({name: arm.space[name] for name in fixed}, fixed)
    assert proposal is not None, "each value lies in its own dimension"
    if gridded is None:
        return lambda number: dict(proposal)
    dimension = arm.space[gridded]
    assert not isinstance(dimension, Fixed)
    name = space.proposal_name(gridded, dimension)

    def draw(number: int) -> dict[str, Value]:
        place = (number - 1) // experiment.search.repeats
        return {name: _visited(dimension, place), **proposal}

    return draw


def _fixed(name: str, dimension: space.Dimension, untuned: Params) -> Value:
    value = untuned.get(name)
    if name == "batch_size" or value is None or not space.contains(dimension, value):
        return space.lower_middle(dimension)
    return value


def _visited(dimension: Choice | Range, place: int) -> Value:
    if isinstance(dimension, Choice):
        return dimension.values[place % len(dimension.values)]
    return space.from_unit(dimension, float(place) if place < 2 else _van_der_corput(place - 1))


def _van_der_corput(n: int) -> float:
    """The radical inverse of `n` in base 2: its binary digits mirrored at the point."""
    u, share = 0.0, 0.5
    while n:
        u += share * (n % 2)
        n, share = n // 2, share / 2
    return u
