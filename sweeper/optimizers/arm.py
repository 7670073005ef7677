"""What Sweeper knows of one optimizer: its properties, space, untuned setting, and what a step of it costs.

Free of torch, so that the command line and the experiment file can ask it at no cost. Spaces are written in
the experiment file's own notation.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Notation = Any
"""A dimension as the experiment file writes it: a value, a list, or `{low, high, scale}`."""


@dataclass(frozen=True, slots=True)
class DefaultDimension:
    """A dimension of an arm's default space: searched from `from_trials` trials per arm on, fixed below."""

    searched: Notation
    fixed: float | None = None
    from_trials: int = 1

    def at(self, n_trials: int) -> Notation:
        """The dimension for a search of `n_trials`; with few, tuning decay rates costs more than it gives."""
        return self.searched if n_trials >= self.from_trials else self.fixed


class Sees(enum.StrEnum):
    """Which images a step of a rule sees, and how."""

    MINIBATCHES = "minibatches"
    """The gradient on a batch."""
    ALL = "all images"
    """The gradient on the whole training set."""
    LOSS = "the loss"
    """It asks for the loss, its gradient or Hessian on the whole training set as often as it needs."""
    SUBSET = "a subset"
    """It asks for the loss alone, on one fixed subset of the training images."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The dimensions of `[space]` that mean something to such a rule; it ignores the others."""
        return {
            Sees.MINIBATCHES: ("batch_size", "weight_decay", "schedule", "sampling", "init"),
            Sees.ALL: ("weight_decay", "schedule", "init"),
            Sees.LOSS: ("weight_decay", "init"),
            Sees.SUBSET: ("weight_decay", "init"),
        }[self]

    @property
    def is_part_of_the_set(self) -> bool:
        """Whether a step sees fewer images than the training set has, and so costs less than an epoch."""
        return self in (Sees.MINIBATCHES, Sees.SUBSET)

    @property
    def asks_for_the_loss(self) -> bool:
        """Whether the rule looks at the loss itself, so that the L2 term has to be inside it."""
        return self in (Sees.LOSS, Sees.SUBSET)


@dataclass(frozen=True, slots=True)
class StepCost:
    """How often a step evaluates what, at least, on the images that the rule sees.

    In the budget's measure a gradient counts 1 for each image, a forward pass alone 1/3, and a Hessian one
    Hessian-vector product, 2, for each parameter.
    """

    gradients: int = 0
    forwards: int = 0
    hessians: int = 0

    def per_image(self, n_parameters: int) -> Fraction:
        """The cost for each image seen, exact: in epochs, where the rule sees every training image."""
        return Fraction(self.thirds_per_image(n_parameters), 3)

    def thirds_per_image(self, n_parameters: int) -> int:
        """The same in thirds, which are whole: every step asks for it."""
        return 3 * self.gradients + self.forwards + 6 * n_parameters * self.hessians


@dataclass(frozen=True, slots=True)
class Arm:
    """One optimizer as Sweeper knows it.

    `default` is the untuned setting: what a user of torch gets who changes nothing. `optional` names
    hyperparameters that a file may set though they are not in the default space. `zeroed` is the decay rate
    that every eighth trial sets to 0, where 0 lies in its searched range: there the rule is a simpler one.
    `first_step` and `later_step` are the least that a step costs.
    """

    name: str
    title: str
    summary: str
    torch_class: str
    space: Mapping[str, DefaultDimension]
    default: Mapping[str, float]
    first_moments: bool = False
    second_moments: bool = False
    leaky_second_moments: bool = False
    bias_correction: bool = False
    sees: Sees = Sees.MINIBATCHES
    first_step: StepCost = StepCost(gradients=1)
    later_step: StepCost = StepCost(gradients=1)
    ignores: tuple[str, ...] = ()
    """Dimensions that rules which see what it sees share, and that mean nothing to this one."""
    max_parameters: int | None = None
    """The largest model, in parameters, that the rule is for; None where any is."""
    optional: tuple[str, ...] = ()
    zeroed: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Keys that stand for another and are never given beside it: `{"lr": "effective_lr"}`."""
    implied: Mapping[str, float] = field(default_factory=dict)
    """torch's values of hyperparameters that the untuned setting doesn't name."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The dimensions of `[space]` that mean something to the rule."""
        return tuple(name for name in self.sees.shared if name not in self.ignores)

    def keys(self) -> tuple[str, ...]:
        """Every hyperparameter of the arm's own that a file may set."""
        return (*self.space, *self.optional, *self.aliases)

    def default_space(self, n_trials: int) -> dict[str, Notation]:
        """The space for a search of `n_trials` trials, in the experiment file's notation."""
        return {name: dimension.at(n_trials) for name, dimension in self.space.items()}

    @property
    def may_have_steps(self) -> bool:
        """Whether a file may give the arm a number of steps as a budget of its own."""
        return self.max_parameters is not None

    def properties(self) -> dict[str, Any]:
        """The arm's row of the lecture's table, its torch class, its full space and its untuned setting."""
        return {
            "name": self.name,
            "title": self.title,
            "summary": self.summary,
            "first_moments": self.first_moments,
            "second_moments": self.second_moments,
            "leaky_second_moments": self.leaky_second_moments,
            "bias_correction": self.bias_correction,
            "sees": self.sees.value,
            "torch_class": self.torch_class,
            "space": {name: dimension.searched for name, dimension in self.space.items()},
            "default": dict(self.default),
        }


ZEROED_EVERY = 8
"""A trial whose number is divisible by this (but 0) sets the arm's `zeroed` decay rate to 0."""


def rule_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the update rule gets for a setting in search coordinates: `lr` in place of `effective_lr`.

    The step's long-run length under momentum rho is lr / (1 - rho), so lr = effective_lr * (1 - rho).
    """
    params = dict(values)
    if "effective_lr" in params:
        params = {"lr": params.pop("effective_lr") * (1 - params["momentum"]), **params}
    return params


def search_values(arm: Arm, params: Mapping[str, Any], searched: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `rule_params`: a setting in the coordinates in which the space `searched` is written."""
    values = {**{name: value for name, value in arm.implied.items() if name in searched}, **params}
    if "effective_lr" in searched:
        values["effective_lr"] = values.pop("lr") / (1 - values["momentum"])
    return values
