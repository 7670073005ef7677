"""How the learning rate goes down in the course of a trial.

A schedule is a factor on the trial's learning rate that depends on how much of its budget is spent, so it
means the same for every batch size.
"""

import math
from collections.abc import Callable, Mapping

STEP_AT = (0.5, 0.75)
"""Where `step` divides by ten: at a half and three quarters of the budget (He et al. 2016, for CIFAR-10)."""


def factor(name: str, progress: float) -> float:
    """The factor of the schedule `name` once the share `progress` of the budget, in 0..1, is spent.

    `constant`: 1. `cosine`: (1 + cos(pi p)) / 2 (Loshchilov and Hutter 2017). `linear`: 1 - p. `step`: a
    tenth from 1/2 on, a hundredth from 3/4 on.
    """
    return _FACTORS[name](progress)


_FACTORS: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "linear": lambda progress: 1 - progress,
    "step": lambda progress: 10.0 ** -sum(progress >= start for start in STEP_AT),
}

NAMES = tuple(_FACTORS)
"""Every schedule's name."""
