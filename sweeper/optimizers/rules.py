"""The lecture's update rules, written out as the lecture does, in plain numpy.

They are the reference: tests hold torch's optimizers against them, and the landscape page draws what they do.
Training itself uses torch (`builders`), which is faster. Products and roots are element by element, so `w`
may have any shape; `lr` and the decay rates may be arrays that broadcast against it, one setting a row.

A rule is called once a step with the weights `w`, the function `gradient` of the weights, and its own
`state`, a dict that is empty at the start; it gives the next weights. Sources: the lecture; for the names,
Polyak 1964 (momentum), Nesterov 1983, Duchi et al. 2011 (AdaGrad), Tieleman and Hinton 2012 (RMSProp),
Kingma and Ba 2015 (Adam).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Gradient = Callable[[Vector], Vector]
State = dict[str, Any]
"""What a rule keeps from step to step: arrays by the lecture's letters."""

Rule = Callable[..., Vector]
Rate = float | Vector

EPS = 1e-7
"""The lecture's small number beside the root, which keeps a division by 0 away."""


def sgd(w: Vector, gradient: Gradient, state: State, *, lr: Rate) -> Vector:
    """Down the gradient."""
    return w - lr * gradient(w)


def momentum(w: Vector, gradient: Gradient, state: State, *, lr: Rate, momentum: Rate = 0.9) -> Vector:
    """A velocity gathers past gradients; `momentum` is the lecture's rho."""
    v: Vector = momentum * state.get("v", 0.0) + gradient(w)
    state["v"] = v
    return w - lr * v


def nesterov(w: Vector, gradient: Gradient, state: State, *, lr: Rate, momentum: Rate = 0.9) -> Vector:
    """The lecture's form: look ahead to where the velocity leads, take the gradient there, then correct."""
    v: Vector = state.get("v", np.zeros_like(w))
    v = momentum * v - lr * gradient(w + momentum * v)
    state["v"] = v
    return w + v


def nesterov_as_torch(
    w: Vector, gradient: Gradient, state: State, *, lr: Rate, momentum: Rate = 0.9
) -> Vector:
    """torch's form, whose weights are the lecture's w + rho v at constant lr, but not once lr changes."""
    g = gradient(w)
    v: Vector = momentum * state.get("v", 0.0) + g
    state["v"] = v
    return w - lr * (g + momentum * v)


def adagrad(w: Vector, gradient: Gradient, state: State, *, lr: Rate, eps: float = EPS) -> Vector:
    """Steep directions damped, flat ones sped up; `s` only grows, so the steps die out."""
    g = gradient(w)
    s: Vector = state.get("s", 0.0) + g * g
    state["s"] = s
    return w - lr * g / (np.sqrt(s) + eps)


def rmsprop(
    w: Vector, gradient: Gradient, state: State, *, lr: Rate, decay: Rate = 0.99, eps: float = EPS
) -> Vector:
    """AdaGrad that forgets."""
    g = gradient(w)
    s: Vector = decay * state.get("s", 0.0) + (1 - decay) * g * g
    state["s"] = s
    return w - lr * g / (np.sqrt(s) + eps)


def adam(
    w: Vector,
    gradient: Gradient,
    state: State,
    *,
    lr: Rate,
    beta1: Rate = 0.9,
    beta2: Rate = 0.999,
    eps: float = EPS,
) -> Vector:
    """Momentum and RMSProp together, both corrected for having started at 0."""
    m, s, t = _moments(gradient(w), state, beta1, beta2)
    m_hat, s_hat = m / (1 - beta1**t), s / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(s_hat) + eps)


def adam_uncorrected(
    w: Vector,
    gradient: Gradient,
    state: State,
    *,
    lr: Rate,
    beta1: Rate = 0.9,
    beta2: Rate = 0.999,
    eps: float = EPS,
) -> Vector:
    """The lecture's first version of Adam: `s` starts at 0, so the first steps are far too long."""
    m, s, _ = _moments(gradient(w), state, beta1, beta2)
    return w - lr * m / (np.sqrt(s) + eps)


def _moments(g: Vector, state: State, beta1: Rate, beta2: Rate) -> tuple[Vector, Vector, int]:
    state["t"] = state.get("t", 0) + 1
    state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    state["s"] = beta2 * state.get("s", 0.0) + (1 - beta2) * g * g
    return state["m"], state["s"], state["t"]


def newton(
    w: Vector,
    gradient: Gradient,
    state: State,
    *,
    hessian: Callable[[Vector], Vector],
    lr: Rate = 1.0,
) -> Vector:
    """To the stationary point of the quadratic model: w - lr H⁻¹ dw.

    `w` has shape (..., D) and `hessian` gives (..., D, D). Where the Hessian is not positive definite the
    point is no minimum: Newton's rule walks to saddles too.
    """
    step = np.linalg.solve(hessian(w), gradient(w)[..., None])[..., 0]
    return w - lr * step


RULES: Mapping[str, Rule] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
}
"""The six rows of the lecture's table, under the arms' names."""


def descend(
    rule: Rule,
    w: Vector,
    gradient: Gradient,
    n_steps: int,
    *,
    lr: Rate | Callable[[int], Rate],
    **rates: Any,
) -> Vector:
    """The path of `rule` from `w`, of shape (n_steps + 1, *w.shape).

    `lr` is a number, an array, or a function of the step, which counts from 1. `gradient` is called once a
    step, so it may add noise of its own.
    """
    state: State = {}
    path = [w]
    for t in range(1, n_steps + 1):
        path.append(rule(path[-1], gradient, state, lr=lr(t) if callable(lr) else lr, **rates))
    return np.stack(path)
