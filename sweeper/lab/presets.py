"""What a lecturer shows: settings of the landscape page under one button, with what to look at."""

from dataclasses import dataclass, field

from sweeper.lab.walks import DIALS, WALKERS

ALL_RULES = tuple(walker.key for walker in WALKERS)

DEFAULTS = {"lr": 0.1, "adaptive_lr": 0.05, "rho": 0.9, "decay": 0.99, "beta1": 0.9, "beta2": 0.999}
"""Where the dials stand unless a preset says otherwise: the lecture's decay rates."""


@dataclass(frozen=True)
class Preset:
    """A button: the loss, the dials that differ from `DEFAULTS`, the rules that are seen, and what to look at."""

    key: str
    title: str
    look: str
    surface: str
    rules: tuple[str, ...]
    dials: dict[str, float] = field(default_factory=dict)
    noisy: bool = False

    def settings(self) -> dict[str, int]:
        """Where every dial stands, as an index into its values."""
        return {dial: values.index({**DEFAULTS, **self.dials}[dial]) for dial, values in DIALS.items()}


PRESETS: tuple[Preset, ...] = (
    Preset(
        "all",
        "All eight rules",
        "Condition number 10, every rule at an ordinary setting. Newton is there after one step. SGD runs down "
        "the steep slope, then crawls along the valley.",
        "quadratic_10",
        ALL_RULES,
    ),
    Preset(
        "sgd_zigzags",
        "SGD zigzags",
        "Just below its limit of 2/λmax, SGD crosses the valley at every step. It can't go faster along the "
        "floor, because the steep direction sets the learning rate.",
        "quadratic_20",
        ("sgd",),
        {"lr": 1.9},
    ),
    Preset(
        "sgd_diverges",
        "SGD diverges",
        "One notch above 2/λmax, every crossing ends higher on the slope than the last, and the loss grows "
        "until the walk leaves the map. Momentum still holds here.",
        "quadratic_20",
        ("sgd", "momentum"),
        {"lr": 2.1},
    ),
    Preset(
        "momentum_overshoots",
        "Momentum overshoots",
        "Momentum is far down the valley before SGD has begun to turn, and the pull of past gradients carries it "
        "past the minimum. Nesterov looks ahead and brakes earlier.",
        "quadratic_10",
        ("sgd", "momentum", "nesterov"),
    ),
    Preset(
        "adagrad_dies_out",
        "AdaGrad dies out",
        "The sum of squared gradients only grows: AdaGrad's steps (last column) shorten from 0.14 to 0.01 while "
        "it is still far away. RMSProp, which forgets, arrives.",
        "quadratic_10",
        ("adagrad", "rmsprop"),
        {"adaptive_lr": 0.1},
    ),
    Preset(
        "newton_jumps",
        "Newton jumps",
        "On a quadratic, Newton's model of the loss is the loss: one step to the minimum, whatever the "
        "condition number. SGD would need thousands here.",
        "quadratic_100",
        ("sgd", "momentum", "newton"),
        {"lr": 0.4},
    ),
    Preset(
        "adam_uncorrected",
        "Adam without bias correction",
        "Both start at the same point with the same lr. Without the corrections, s is far too small at first, "
        "and the early steps are 3 to 7 times as long: it shoots past the minimum and has to come back.",
        "quadratic_10",
        ("adam", "adam_uncorrected"),
    ),
    Preset(
        "saddle",
        "Saddle",
        "Newton goes straight to the saddle and stays, because the gradient is zero there. SGD lingers for some "
        "twenty steps; Momentum, Nesterov and Adam leave for a minimum sooner or faster.",
        "saddle",
        ("sgd", "momentum", "nesterov", "adam", "newton"),
        {"lr": 0.4},
    ),
    Preset(
        "poor_minimum",
        "Poor local minimum",
        "The nearer minimum is the poor one. SGD, Adam and Newton end there, at a loss that stays 0.08 above the "
        "lowest; Momentum's speed carries it over the pass to the good one.",
        "double_well",
        ("sgd", "momentum", "adam", "newton"),
    ),
    Preset(
        "noise",
        "Gradient noise",
        "The same noise is added to every rule's gradients. Nobody settles: SGD and Momentum tremble near the "
        "floor, and Newton, which divides by the small curvature, is thrown about most.",
        "quadratic_10",
        ("sgd", "momentum", "adam", "newton"),
        {"lr": 0.2, "adaptive_lr": 0.1},
        noisy=True,
    ),
    Preset(
        "rosenbrock",
        "Rosenbrock's valley",
        "Finding the valley is easy, following its bend is not. Newton needs a few steps; Momentum and Adam get "
        "round, SGD and AdaGrad are still on the way.",
        "rosenbrock",
        ALL_RULES,
        {"lr": 0.4, "adaptive_lr": 0.05},
    ),
)
"""The buttons, from left to right; the first is how the page opens."""
