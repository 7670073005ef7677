"""Search spaces: what a hyperparameter may be, what of it is searched, and Optuna's coordinates for it.

A dimension is written in the experiment file as a single value (fixed), a list (a choice) or a table
`{ low, high, scale }` (a range). `encode` and `decode` translate between a hyperparameter's value and the
number that a sampler proposes, which differ for the scale `one_minus_log`: log-uniform in 1 - x.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper import schedules
from sweeper.records import Params, Value

SCALES = ("linear", "log", "one_minus_log")


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One hyperparameter's legal values: `holds` tells whether a value is one, `legal` says it in words."""

    kind: type
    legal: str
    holds: Callable[[Any], bool]

    def accepts(self, value: object) -> bool:
        """Whether `value` has the right type and lies in the domain."""
        if self.kind is str:
            return isinstance(value, str) and self.holds(value)
        if isinstance(value, bool):
            return self.kind is bool
        numbers = int if self.kind is int else (int, float)
        return isinstance(value, numbers) and self.holds(value)


LARGEST = 1e100
"""No number is larger: a TOML file may hold whole numbers that no float can."""


def _positive() -> Hyperparameter:
    return Hyperparameter(float, "a number above 0, at most 1e100", lambda v: 0 < v <= LARGEST)


def _rate() -> Hyperparameter:
    return Hyperparameter(float, "a number from 0 to below 1", lambda v: 0 <= v < 1)


def _names(*names: str) -> Hyperparameter:
    return Hyperparameter(str, "one of " + ", ".join(names), lambda v: v in names)


INITS = ("kaiming", "xavier", "normal")
SAMPLINGS = ("shuffle", "replacement")

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "lr": _positive(),
    "effective_lr": _positive(),
    "momentum": _rate(),
    "decay": _rate(),
    "beta1": _rate(),
    "beta2": _rate(),
    "eps": _positive(),
    "damping": _positive(),
    "history": Hyperparameter(int, "a whole number from 1 to 1,000", lambda v: 1 <= v <= 1_000),
    "step": _positive(),
    "weight_decay": Hyperparameter(float, "a number from 0 to 1e100", lambda v: 0 <= v <= LARGEST),
    "batch_size": Hyperparameter(int, "a whole number from 1 to 1,000,000,000", lambda v: 1 <= v <= 10**9),
    "schedule": _names(*schedules.NAMES),
    "sampling": _names(*SAMPLINGS),
    "init": _names(*INITS),
}
"""Every hyperparameter by name, with its legal values."""

OF_A_CLASS = Hyperparameter(bool, "a number from -1e100 to 1e100, true or false", lambda v: abs(v) <= LARGEST)
"""Any other one, which only a class of torch.optim can have: torch knows better what is legal."""

SHARED = ("batch_size", "weight_decay", "schedule", "sampling", "init")
"""What `[space]` may hold: dimensions that mean the same for every optimizer."""

TRAINING = ("batch_size", "schedule", "sampling", "init")
"""What the training loop uses itself; every other hyperparameter is the update rule's."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A hyperparameter that is not searched."""

    value: Value

    def notation(self) -> Value:
        """As the experiment file writes it."""
        return self.value


@dataclass(frozen=True, slots=True)
class Choice:
    """A hyperparameter that is one of a few values."""

    values: tuple[Value, ...]

    def notation(self) -> list[Value]:
        """As the experiment file writes it."""
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`, drawn uniformly on `scale`; a whole number where `integer`."""

    low: float
    high: float
    scale: str = "linear"
    integer: bool = False

    def notation(self) -> dict[str, Value]:
        """As the experiment file writes it."""
        return {"low": self.low, "high": self.high, "scale": self.scale}


Dimension = Fixed | Choice | Range
Space = Mapping[str, Dimension]


def parse(name: str, raw: object) -> Dimension:
    """The dimension that the experiment file writes as `raw` for the hyperparameter `name`.

    Raises ValueError with what would be legal, where `raw` is none.
    """
    domain = HYPERPARAMETERS.get(name, OF_A_CLASS)
    if isinstance(raw, dict):
        return _parse_range(domain, raw)
    if isinstance(raw, list):
        wrong = [value for value in raw if not domain.accepts(value)]
        if not raw or wrong:
            raise ValueError(f"each value of the list must be {domain.legal}, and there must be at least one")
        if len(set(raw)) < len(raw):
            raise ValueError("the same value stands twice in the list; each may stand there once")
        return Choice(tuple(raw)) if len(raw) > 1 else Fixed(raw[0])
    if not domain.accepts(raw):
        a_range = "" if domain.kind is str else ", or { low, high, scale }"
        raise ValueError(f"must be {domain.legal}{',' if a_range else ', or'} a list of such{a_range}")
    assert isinstance(raw, int | float | str)
    return Fixed(raw)


def _parse_range(domain: Hyperparameter, raw: Mapping[str, Any]) -> Range:
    if domain.kind is str:
        raise ValueError(f"a name has no range; legal: {domain.legal}, or a list of such")
    unknown = sorted(set(raw) - {"low", "high", "scale"})
    if unknown or not {"low", "high"} <= set(raw):
        raise ValueError("a range is written { low, high, scale }, of which only scale may be left out")
    low, high, scale = raw["low"], raw["high"], raw.get("scale", "linear")
    for bound in (low, high):
        if isinstance(bound, bool) or not domain.accepts(bound):
            raise ValueError(f"low and high must each be {domain.legal.removesuffix(', true or false')}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}")
    if low >= high:
        raise ValueError("low must be below high")
    if scale == "log" and low <= 0:
        raise ValueError("a log scale needs a low above 0")
    if scale == "one_minus_log" and high >= 1:
        raise ValueError("a one_minus_log scale needs a high below 1")
    return Range(low, high, scale, integer=domain.kind is int)


def proposal_name(name: str, dimension: Dimension) -> str:
    """What a sampler calls the dimension: its own name, or `one_minus_NAME` where 1 - x is drawn."""
    is_mirrored = isinstance(dimension, Range) and dimension.scale == "one_minus_log"
    return f"one_minus_{name}" if is_mirrored else name


def proposal_bounds(dimension: Range) -> tuple[float, float]:
    """The lowest and the highest number that a sampler proposes for the range."""
    if dimension.scale == "one_minus_log":
        return 1 - dimension.high, 1 - dimension.low
    return dimension.low, dimension.high


def from_unit(dimension: Choice | Range, u: float) -> Value:
    """What a sampler proposes at `u`, from 0 to 1 along the dimension's own scale.

    The inverse of the distribution function that Optuna draws from: a uniform `u` below 1 gives each choice
    the same share, and each whole number the part of the scale that rounds to it. 0 and 1 are a range's ends.
    """
    if isinstance(dimension, Choice):
        return dimension.values[min(int(u * len(dimension.values)), len(dimension.values) - 1)]
    low, high = proposal_bounds(dimension)
    margin = 0.5 if dimension.integer else 0.0
    first, last = low - margin, high + margin
    x = (1 - u) * first + u * last if dimension.scale == "linear" else first ** (1 - u) * last**u
    if dimension.integer:
        return min(max(round(x), int(low)), int(high))
    return min(max(x, low), high)


def decode(space: Space, proposal: Params) -> dict[str, Value]:
    """The hyperparameters for the numbers that a sampler proposed; fixed ones included."""
    values: dict[str, Value] = {}
    for name, dimension in space.items():
        if isinstance(dimension, Fixed):
            values[name] = dimension.value
            continue
        proposed = proposal[proposal_name(name, dimension)]
        if isinstance(dimension, Range) and dimension.scale == "one_minus_log":
            # 1 - (1 - high) may miss high by one bit; the clamp keeps the value inside its range.
            proposed = min(max(1 - float(proposed), dimension.low), dimension.high)
        values[name] = proposed
    return values


def encode(space: Space, values: Params) -> dict[str, Value] | None:
    """What a sampler would have proposed to give `values`, or None where they lie outside the space."""
    proposal: dict[str, Value] = {}
    for name, dimension in space.items():
        value = values.get(name)
        if value is None or not contains(dimension, value):
            return None
        if isinstance(dimension, Range) and dimension.scale == "one_minus_log":
            low, high = proposal_bounds(dimension)
            proposal[proposal_name(name, dimension)] = min(max(1 - float(value), low), high)
        elif not isinstance(dimension, Fixed):
            proposal[name] = value
    return proposal


def contains(dimension: Dimension, value: Value) -> bool:
    """Whether `value` lies in the dimension."""
    if isinstance(dimension, Fixed):
        return value == dimension.value
    if isinstance(dimension, Choice):
        return value in dimension.values
    return not isinstance(value, str) and dimension.low <= value <= dimension.high


def extremes(dimension: Dimension) -> tuple[Value, ...]:
    """The values that span the dimension: every choice, or both ends of a range."""
    if isinstance(dimension, Fixed):
        return (dimension.value,)
    return dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)


def lower_middle(dimension: Dimension) -> Value:
    """The middle value on the dimension's own scale; the lower of the two where there is no single one."""
    if isinstance(dimension, Fixed):
        return dimension.value
    if isinstance(dimension, Choice):
        ordered = sorted(dimension.values, key=lambda v: (isinstance(v, str), v))
        return ordered[(len(ordered) - 1) // 2]
    if dimension.scale == "log":
        middle = math.sqrt(dimension.low * dimension.high)
    elif dimension.scale == "one_minus_log":
        middle = 1 - math.sqrt((1 - dimension.low) * (1 - dimension.high))
    else:
        middle = (dimension.low + dimension.high) / 2
    return math.floor(middle) if dimension.integer else middle
