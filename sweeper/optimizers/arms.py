"""The registry of arms: each optimizer's properties, default search space and untuned setting.

Free of torch, so that the command line and the experiment file can ask it at no cost. Spaces are written in
the experiment file's own notation. Sources: the lecture's table of properties; torch.optim's documentation
for the untuned settings; the spaces cover the same number of decades of learning rate for every arm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Arm:
    """One optimizer as Sweeper knows it.

    `default` is the untuned setting: what a user of torch gets who changes nothing. `optional` names
    hyperparameters that a file may set though they are not in the default space. `zeroed` is the decay rate
    that every eighth trial sets to 0, where 0 lies in its searched range: there the rule is a simpler one.
    """

    name: str
    title: str
    summary: str
    torch_class: str
    first_moments: bool
    second_moments: bool
    leaky_second_moments: bool
    bias_correction: bool
    space: Mapping[str, DefaultDimension]
    default: Mapping[str, float]
    optional: tuple[str, ...] = ()
    zeroed: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Keys that stand for another and are never given beside it: `{"lr": "effective_lr"}`."""
    implied: Mapping[str, float] = field(default_factory=dict)
    """torch's values of hyperparameters that the untuned setting doesn't name."""

    def keys(self) -> tuple[str, ...]:
        """Every hyperparameter of the arm's own that a file may set."""
        return (*self.space, *self.optional, *self.aliases)

    def default_space(self, n_trials: int) -> dict[str, Notation]:
        """The space for a search of `n_trials` trials, in the experiment file's notation."""
        return {name: dimension.at(n_trials) for name, dimension in self.space.items()}


def _log(low: float, high: float) -> dict[str, Notation]:
    return {"low": low, "high": high, "scale": "log"}


def _one_minus_log(low: float, high: float) -> dict[str, Notation]:
    return {"low": low, "high": high, "scale": "one_minus_log"}


_HIGH_LR = DefaultDimension(_log(1e-4, 1.0))
_LOW_LR = DefaultDimension(_log(1e-5, 1e-1))
_RHO = DefaultDimension(_one_minus_log(0.0, 0.99), fixed=0.9, from_trials=16)
_MOMENTUM_SPACE = {"effective_lr": _HIGH_LR, "momentum": _RHO}

ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(
            name="sgd",
            title="SGD",
            summary="steps down the minibatch gradient; zigzags where the loss is steep one way only",
            torch_class="torch.optim.SGD",
            first_moments=False,
            second_moments=False,
            leaky_second_moments=False,
            bias_correction=False,
            space={"lr": _HIGH_LR},
            default={"lr": 1e-3},
        ),
        Arm(
            name="momentum",
            title="SGD + Momentum",
            summary="a velocity gathers past gradients: faster along valleys, may overshoot",
            torch_class="torch.optim.SGD",
            first_moments=True,
            second_moments=False,
            leaky_second_moments=False,
            bias_correction=False,
            space=_MOMENTUM_SPACE,
            default={"lr": 1e-3, "momentum": 0.9},
            zeroed="momentum",
            aliases={"lr": "effective_lr"},
        ),
        Arm(
            name="nesterov",
            title="Nesterov",
            summary="momentum that looks ahead to where the velocity leads before it takes the gradient",
            torch_class="torch.optim.SGD",
            first_moments=True,
            second_moments=False,
            leaky_second_moments=False,
            bias_correction=False,
            space=_MOMENTUM_SPACE,
            default={"lr": 1e-3, "momentum": 0.9},
            zeroed="momentum",
            aliases={"lr": "effective_lr"},
        ),
        Arm(
            name="adagrad",
            title="AdaGrad",
            summary="divides by the root of all squared gradients so far: its steps die out",
            torch_class="torch.optim.Adagrad",
            first_moments=False,
            second_moments=True,
            leaky_second_moments=False,
            bias_correction=False,
            space={"lr": _HIGH_LR},
            default={"lr": 1e-2},
            optional=("eps",),
            implied={"eps": 1e-10},
        ),
        Arm(
            name="rmsprop",
            title="RMSProp",
            summary="AdaGrad that forgets: squared gradients decay",
            torch_class="torch.optim.RMSprop",
            first_moments=False,
            second_moments=True,
            leaky_second_moments=True,
            bias_correction=False,
            space={
                "lr": _LOW_LR,
                "decay": DefaultDimension(_one_minus_log(0.5, 0.999), fixed=0.99, from_trials=16),
            },
            default={"lr": 1e-2, "decay": 0.99},
            optional=("eps",),
            implied={"eps": 1e-8},
        ),
        Arm(
            name="adam",
            title="Adam",
            summary="momentum and RMSProp together, both corrected for starting at zero",
            torch_class="torch.optim.Adam",
            first_moments=True,
            second_moments=True,
            leaky_second_moments=True,
            bias_correction=True,
            space={
                "lr": _LOW_LR,
                "beta1": DefaultDimension(_one_minus_log(0.0, 0.99), fixed=0.9, from_trials=16),
                "beta2": DefaultDimension(_one_minus_log(0.5, 0.9999), fixed=0.999, from_trials=32),
            },
            default={"lr": 1e-3, "beta1": 0.9, "beta2": 0.999},
            optional=("eps",),
            implied={"eps": 1e-8},
            zeroed="beta1",
        ),
    )
}
"""Every arm by name, in the lecture's order."""

ZEROED_EVERY = 8
"""A trial whose number is divisible by this (but 0) sets the arm's `zeroed` decay rate to 0."""


def names() -> list[str]:
    """The names of all arms, in the lecture's order."""
    return list(ARMS)


def properties() -> list[dict[str, Any]]:
    """A row per arm: the lecture's properties, torch's class, the full space, the untuned setting."""
    return [
        {
            "name": arm.name,
            "first_moments": arm.first_moments,
            "second_moments": arm.second_moments,
            "leaky_second_moments": arm.leaky_second_moments,
            "bias_correction": arm.bias_correction,
            "torch_class": arm.torch_class,
            "space": {name: dimension.searched for name, dimension in arm.space.items()},
            "default": dict(arm.default),
        }
        for arm in ARMS.values()
    ]


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
