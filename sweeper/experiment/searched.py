"""What of an optimizer's space is searched, in plain numbers for whoever shows it."""

import math
from dataclasses import dataclass

from sweeper.experiment.model import ArmSpace
from sweeper.records import Value
from sweeper.space import Choice, Range


@dataclass(frozen=True, slots=True)
class Searched:
    """One dimension that is searched: `values` of a choice, or `low` to `high` on `scale`.

    `decades` are powers of ten from end to end, in 1 - x on the scale `one_minus_log`; None on a linear scale
    and for a choice. `shared`: every arm that has it draws the same values.
    """

    name: str
    values: tuple[Value, ...] | None
    low: float | None
    high: float | None
    scale: str | None
    decades: float | None
    shared: bool


def dimensions(arm: ArmSpace, sampler: str) -> dict[str, Choice | Range]:
    """What the arm searches: a grid is over its learning rate, or step, alone."""
    found = {name: d for name, d in arm.space.items() if isinstance(d, Choice | Range)}
    if sampler != "grid":
        return found
    gridded = next((name for name in ("effective_lr", "lr", "step") if name in found), None)
    return {gridded: found[gridded]} if gridded else {}


def searched(arm: ArmSpace, sampler: str) -> tuple[Searched, ...]:
    """The dimensions that the arm searches."""
    return tuple(_searched(arm, name, found) for name, found in dimensions(arm, sampler).items())


def _searched(arm: ArmSpace, name: str, dimension: Choice | Range) -> Searched:
    shared = name in arm.shared
    if isinstance(dimension, Choice):
        return Searched(name, dimension.values, None, None, None, None, shared)
    low, high = float(dimension.low), float(dimension.high)
    return Searched(name, None, low, high, dimension.scale, decades(dimension), shared)


def decades(dimension: Range) -> float | None:
    """Powers of ten from end to end, in 1 - x on the scale `one_minus_log`; None on a linear scale."""
    if dimension.scale == "linear":
        return None
    if dimension.scale == "log":
        return math.log10(dimension.high / dimension.low)
    return math.log10((1 - dimension.low) / (1 - dimension.high))
