"""What a lecturer shows: settings of the landscape page under one button, with what to look at."""

from dataclasses import dataclass, field

from sweeper.lab.walks import DIALS, WALKERS

ALL_RULES = tuple(walker.key for walker in WALKERS)

DEFAULTS = {"lr": 0.1, "adaptive_lr": 0.05, "rho": 0.9, "decay": 0.99, "beta1": 0.9, "beta2": 0.999}
"""Where the dials stand unless a preset says otherwise: the lecture's decay rates."""


@dataclass(frozen=True)
class Preset:
    """A button: a loss, the rules seen on it, what to look at, and the dials that differ from `DEFAULTS`."""

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
        "Condition number 10, every rule at an ordinary setting. Newton is there after one step; "
        "SGD runs down the steep slope, then crawls along the valley.",
        "quadratic_10",
        ALL_RULES,
    ),
    Preset(
        "sgd_zigzags",
        "SGD zigzags",
        "Just below its limit, 2/λmax, SGD crosses the valley at every step. It can't go faster along the "
        "floor, because the steep direction sets the learning rate.",
        "quadratic_20",
        ("sgd",),
        {"lr": 1.9},
    ),
    Preset(
        "sgd_diverges",
        "SGD diverges",
        "One notch above 2/λmax, every crossing ends higher on the slope than the last, until the walk has "
        "left the map. Momentum's limit is higher: it comes to rest at the same lr.",
        "quadratic_20",
        ("sgd", "momentum"),
        {"lr": 2.1},
    ),
    Preset(
        "momentum_overshoots",
        "Momentum overshoots",
        "Past gradients pull Momentum through the valley's floor and past the minimum, and back again; SGD, "
        "slow and steady, never crosses. Nesterov looks ahead and overshoots less.",
        "quadratic_10",
        ("sgd", "momentum", "nesterov"),
    ),
    Preset(
        "adagrad_dies_out",
        "AdaGrad dies out",
        "The sum of squared gradients only grows, so AdaGrad's steps shorten from 0.14 to 0.008 while it is "
        "still far from the minimum. RMSProp, which forgets, arrives.",
        "quadratic_10",
        ("adagrad", "rmsprop"),
        {"adaptive_lr": 0.1},
    ),
    Preset(
        "newton_jumps",
        "Newton jumps",
        "On a quadratic, Newton's model of the loss is the loss itself: one step to the minimum, whatever "
        "the condition number. SGD at this lr would need more than a thousand.",
        "quadratic_100",
        ("sgd", "momentum", "newton"),
        {"lr": 0.4},
    ),
    Preset(
        "adam_uncorrected",
        "Adam without bias correction",
        "Same start, same lr. Without the corrections s is far too small at first, so the early steps are "
        "3 to 7 times as long; the walk shoots past the minimum and has to come back.",
        "quadratic_10",
        ("adam", "adam_uncorrected"),
    ),
    Preset(
        "saddle",
        "Saddle",
        "Newton goes to the saddle and stays: the gradient is zero there. SGD lingers beside it for dozens "
        "of steps; Momentum, Nesterov and Adam are at a minimum long before.",
        "saddle",
        ("sgd", "momentum", "nesterov", "adam", "newton"),
        {"lr": 0.2},
    ),
    Preset(
        "poor_minimum",
        "Poor local minimum",
        "The nearer minimum is the poor one. SGD, Adam and Newton end there, 0.08 above the lowest loss; "
        "Momentum's speed carries it over the saddle to the other.",
        "double_well",
        ("sgd", "momentum", "adam", "newton"),
    ),
    Preset(
        "noise",
        "Gradient noise",
        "Every rule gets the same noise on its gradients, and none comes to rest. Newton is thrown about "
        "most: where the curvature is small, it makes the noise large.",
        "quadratic_10",
        ("sgd", "momentum", "adam", "newton"),
        {"lr": 0.2, "adaptive_lr": 0.1},
        noisy=True,
    ),
    Preset(
        "rosenbrock",
        "Rosenbrock's valley",
        "To find the valley is easy, to follow its bend is not. Newton needs a few steps, Momentum and "
        "Nesterov get round in time; SGD and AdaGrad are still before the bend at the end.",
        "rosenbrock",
        ALL_RULES,
        {"lr": 0.4},
    ),
)
"""The buttons, from left to right; the first is how the page opens."""
