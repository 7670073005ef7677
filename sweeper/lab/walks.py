"""Every walk of the landscape page: each rule, at each setting of its dials, over each loss.

The page computes nothing: it looks a walk up by its settings. So all of them are computed here, by the
lecture's own rules (`sweeper.optimizers.rules`); `sweeper.lab.packing` makes them small.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sweeper.lab.surfaces import Surface, Vector
from sweeper.optimizers import rules

N_STEPS = 120
NOISE_SEED = 20

DIALS: Mapping[str, tuple[float, ...]] = {
    # with values close on both sides of every limit of stability: see `stability_limit`
    "lr": (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.3, 1.4, 1.6, 1.9, 2.1, 2.9, 3.1, 3.7, 3.9, 4.1),
    "adaptive_lr": (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    "rho": (0.0, 0.5, 0.9, 0.99),
    "decay": (0.9, 0.99, 0.999),
    "beta1": (0.0, 0.9, 0.99),
    "beta2": (0.9, 0.99, 0.999),
}
"""The settings that a user chooses from. The size of the gradient cancels out where a rule divides
by a root of squared gradients, so those rules have a learning rate of their own."""


@dataclass(frozen=True)
class Walker:
    """An update rule as the page shows it; `dials` gives the dial that sets each of the rule's rates."""

    key: str
    label: str
    formula: str
    rule: rules.Rule
    dials: Mapping[str, str]

    def shape(self) -> tuple[int, ...]:
        """How many values each dial has, in the order of `dials`."""
        return tuple(len(DIALS[dial]) for dial in self.dials.values())

    def rates(self) -> dict[str, Vector]:
        """Every combination of the dials' values: columns of shape (settings, 1), the last dial fastest."""
        columns = np.meshgrid(*(DIALS[dial] for dial in self.dials.values()), indexing="ij")
        return {rate: column.reshape(-1, 1) for rate, column in zip(self.dials, columns, strict=True)}


_WITH_RHO = {"lr": "lr", "momentum": "rho"}
_ADAM = {"lr": "adaptive_lr", "beta1": "beta1", "beta2": "beta2"}

WALKERS: tuple[Walker, ...] = (
    Walker("sgd", "SGD", "w -= lr * dw", rules.sgd, {"lr": "lr"}),
    Walker("momentum", "Momentum", "v = rho * v + dw;  w -= lr * v", rules.momentum, _WITH_RHO),
    Walker(
        "nesterov", "Nesterov", "v = rho * v - lr * grad(w + rho * v);  w += v", rules.nesterov, _WITH_RHO
    ),
    Walker(
        "adagrad",
        "AdaGrad",
        "s += dw * dw;  w -= lr * dw / (sqrt(s) + 1e-7)",
        rules.adagrad,
        {"lr": "adaptive_lr"},
    ),
    Walker(
        "rmsprop",
        "RMSProp",
        "s = decay * s + (1 - decay) * dw * dw;  w -= lr * dw / (sqrt(s) + 1e-7)",
        rules.rmsprop,
        {"lr": "adaptive_lr", "decay": "decay"},
    ),
    Walker(
        "adam",
        "Adam",
        "m = b1 * m + (1 - b1) * dw;  s = b2 * s + (1 - b2) * dw * dw;  "
        "m^ = m / (1 - b1**t);  s^ = s / (1 - b2**t);  w -= lr * m^ / (sqrt(s^) + 1e-7)",
        rules.adam,
        _ADAM,
    ),
    Walker(
        "adam_uncorrected",
        "Adam, uncorrected",
        "m and s as Adam's;  w -= lr * m / (sqrt(s) + 1e-7)",
        rules.adam_uncorrected,
        _ADAM,
    ),
    Walker("newton", "Newton", "w -= inverse(H) dw", rules.newton, {}),
)
"""The page's eight rules, in the lecture's order."""


def stability_limit(key: str, rho: float) -> float | None:
    """The lr above which a rule diverges on a quadratic with λmax = 1; None if it has no such limit.

    From the roots of the recurrence of a rule along the steepest axis, which must lie in the unit circle.
    Nesterov's is lower than momentum's: on the far side of the valley, its look ahead sees the steeper wall.
    """
    match key:
        case "sgd":
            return 2.0
        case "momentum":
            return 2 * (1 + rho)
        case "nesterov":
            return 2 * (1 + rho) / (1 + 2 * rho)
    return None


def walks(surface: Surface, walker: Walker, *, noisy: bool) -> Vector:
    """The walks at every setting of the walker's dials, of shape (settings, N_STEPS + 1, 2).

    With `noisy`, the same noise is added to the gradients of every rule, step by step. A walk that diverges
    ends in numbers without bound, infinite or not a number.
    """
    noise = np.random.default_rng(NOISE_SEED).normal(0.0, surface.noise, (N_STEPS, 2)) * noisy
    at_step = iter(noise)
    rates = walker.rates() or {"lr": np.ones((1, 1))}
    if walker.rule is rules.newton:
        rates["hessian"] = surface.hessian  # type: ignore[assignment]
    start = np.tile(np.array(surface.start), (len(rates["lr"]), 1))
    with np.errstate(over="ignore", invalid="ignore"):
        path = rules.descend(
            walker.rule, start, lambda w: surface.gradient(w) + next(at_step), N_STEPS, **rates
        )
    return path.swapaxes(0, 1)
