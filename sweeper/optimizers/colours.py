"""One colour per update rule, the same on every page and in every figure.

After Okabe and Ito's palette for all kinds of colour vision (https://jfly.uni-koeln.de/color/), darkened on
light grounds and brightened on dark ones to a contrast of about 3:1 with the ground.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Colour(NamedTuple):
    """A rule's colour on a light and on a dark ground, as #rrggbb."""

    light: str
    dark: str


RULE_COLOURS: Mapping[str, Colour] = {
    "sgd": Colour("#1b1b1b", "#f4f4f4"),
    "momentum": Colour("#cc4e00", "#ff7f2a"),
    "nesterov": Colour("#b07a00", "#f0aa1e"),
    "adagrad": Colour("#00875f", "#22c497"),
    "rmsprop": Colour("#b0457f", "#e08fbd"),
    "adam": Colour("#0059b3", "#4c9df0"),
    "adam_uncorrected": Colour("#2f93cf", "#9ad5f7"),
    "newton": Colour("#7d6f00", "#f0e442"),
}
"""Colours by the rules' names; `adam_uncorrected`, a variant of adam, is a paler blue."""
