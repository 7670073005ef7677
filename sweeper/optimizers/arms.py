"""The registry of arms: every optimizer that Sweeper can compare by its name.

Sources: the lecture's table of properties; torch.optim's documentation for the untuned settings. The spaces
cover the same number of decades of learning rate for every arm that searches one.
"""

from collections.abc import Mapping
from typing import Any

from sweeper.optimizers.arm import Arm, DefaultDimension, Notation, Sees, StepCost

SMALL = 2_500
"""Parameters of the largest model for rules that keep a matrix with a row and a column for each."""


def _log(low: float, high: float) -> dict[str, Notation]:
    return {"low": low, "high": high, "scale": "log"}


def _one_minus_log(low: float, high: float) -> dict[str, Notation]:
    return {"low": low, "high": high, "scale": "one_minus_log"}


_HIGH_LR = DefaultDimension(_log(1e-4, 1.0))
_LOW_LR = DefaultDimension(_log(1e-5, 1e-1))
_LR_1 = DefaultDimension(1.0)
_RHO = DefaultDimension(_one_minus_log(0.0, 0.99), fixed=0.9, from_trials=16)
_MOMENTUM_SPACE = {"effective_lr": _HIGH_LR, "momentum": _RHO}
_ADAM_SPACE = {
    "lr": _LOW_LR,
    "beta1": DefaultDimension(_one_minus_log(0.0, 0.99), fixed=0.9, from_trials=16),
    "beta2": DefaultDimension(_one_minus_log(0.5, 0.9999), fixed=0.999, from_trials=32),
}
_DAMPING = DefaultDimension(_log(1e-4, 1.0))

_LECTURE = (
    Arm(
        name="sgd",
        title="SGD",
        summary="steps down the minibatch gradient; zigzags where the loss is steep one way only",
        torch_class="torch.optim.SGD",
        space={"lr": _HIGH_LR},
        default={"lr": 1e-3},
    ),
    Arm(
        name="momentum",
        title="SGD + Momentum",
        summary="a velocity gathers past gradients: faster along valleys, may overshoot",
        torch_class="torch.optim.SGD",
        first_moments=True,
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
        second_moments=True,
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
        second_moments=True,
        leaky_second_moments=True,
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
        space=_ADAM_SPACE,
        default={"lr": 1e-3, "beta1": 0.9, "beta2": 0.999},
        optional=("eps",),
        implied={"eps": 1e-8},
        zeroed="beta1",
    ),
)

_BEYOND = (
    Arm(
        name="adamw",
        title="AdamW",
        summary="Adam whose weight decay shrinks the weights beside the gradient, not inside it",
        torch_class="torch.optim.AdamW",
        first_moments=True,
        second_moments=True,
        leaky_second_moments=True,
        bias_correction=True,
        space={**_ADAM_SPACE, "weight_decay": DefaultDimension(_log(1e-3, 1.0), fixed=1e-2, from_trials=16)},
        default={"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 1e-2},
        optional=("eps",),
        implied={"eps": 1e-8},
        zeroed="beta1",
    ),
    Arm(
        name="nadam",
        title="NAdam",
        summary="Adam with Nesterov's look ahead",
        torch_class="torch.optim.NAdam",
        first_moments=True,
        second_moments=True,
        leaky_second_moments=True,
        bias_correction=True,
        space=_ADAM_SPACE,
        default={"lr": 2e-3, "beta1": 0.9, "beta2": 0.999},
        optional=("eps",),
        implied={"eps": 1e-8},
        zeroed="beta1",
    ),
)

_FULL_BATCH = (
    Arm(
        name="gd",
        title="Gradient descent",
        summary="steps down the gradient of the whole training set: exact, and one step an epoch",
        torch_class="torch.optim.SGD",
        space={"lr": _HIGH_LR},
        default={"lr": 1e-3},
        sees=Sees.ALL,
    ),
    Arm(
        name="lbfgs",
        title="L-BFGS",
        summary="builds a Newton step from the last few steps; full batch, strong Wolfe line search",
        torch_class="torch.optim.LBFGS",
        space={"lr": _LR_1, "history": DefaultDimension([5, 10, 20])},
        default={"lr": 1.0, "history": 10},
        sees=Sees.LOSS,
        first_step=StepCost(gradients=2),
    ),
    Arm(
        name="bfgs",
        title="BFGS",
        summary="keeps an approximate inverse Hessian that every step updates; full batch, line search",
        torch_class="sweeper.optimizers.loss_rules.BFGS",
        space={"lr": _LR_1, "damping": _DAMPING},
        default={"lr": 1.0, "damping": 1e-2},
        sees=Sees.LOSS,
        first_step=StepCost(gradients=2, forwards=1),
        later_step=StepCost(gradients=1, forwards=1),
        max_parameters=SMALL,
    ),
    Arm(
        name="newton",
        title="Newton",
        summary="jumps to the minimum of the quadratic model, from the whole Hessian; line search",
        torch_class="sweeper.optimizers.loss_rules.Newton",
        space={"lr": _LR_1, "damping": _DAMPING},
        default={"lr": 1.0, "damping": 1e-2},
        sees=Sees.LOSS,
        first_step=StepCost(gradients=1, forwards=1, hessians=1),
        later_step=StepCost(gradients=1, forwards=1, hessians=1),
        max_parameters=SMALL,
    ),
)

_GRADIENT_FREE = (
    Arm(
        name="random_search",
        title="Random search",
        summary="draws all weights again and again and keeps the best: the baseline",
        torch_class="sweeper.optimizers.loss_rules.RandomSearch",
        space={},
        default={},
        sees=Sees.SUBSET,
        ignores=("init",),  # the first draw replaces all weights
        first_step=StepCost(forwards=1),
        later_step=StepCost(forwards=1),
    ),
    Arm(
        name="local_search",
        title="Random local search",
        summary="tries a random step from where it stands and keeps it if the loss is lower",
        torch_class="sweeper.optimizers.loss_rules.LocalSearch",
        space={"step": DefaultDimension(_log(1e-5, 1e-2))},
        default={"step": 1e-3},
        sees=Sees.SUBSET,
        first_step=StepCost(forwards=2),
        later_step=StepCost(forwards=1),
    ),
)

ARMS: Mapping[str, Arm] = {arm.name: arm for arm in (*_LECTURE, *_BEYOND, *_FULL_BATCH, *_GRADIENT_FREE)}
"""Every arm by name: the lecture's table in its order, then what lies beyond it."""

LECTURE: tuple[str, ...] = tuple(arm.name for arm in _LECTURE)
"""The six rows of the lecture's table: what is compared where a file names no optimizer."""


def names() -> list[str]:
    """The names of all arms, the lecture's six first."""
    return list(ARMS)


def properties() -> list[dict[str, Any]]:
    """A row per arm: the lecture's properties, torch's class, the full space, the untuned setting."""
    return [arm.properties() for arm in ARMS.values()]
