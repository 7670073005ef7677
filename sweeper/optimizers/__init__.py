"""The arms: the optimizers that Sweeper compares, under the lecture's names.

The registry is free of torch; what builds a rule imports it on first use. `rules` has the lecture's own
formulas in plain numpy.
"""

from typing import TYPE_CHECKING, Any

from sweeper.optimizers.arm import ZEROED_EVERY, Arm, rule_params, search_values
from sweeper.optimizers.arms import ARMS, LECTURE, names, properties

if TYPE_CHECKING:
    from sweeper.optimizers import custom
    from sweeper.optimizers.builders import build

__all__ = [
    "ARMS",
    "LECTURE",
    "ZEROED_EVERY",
    "Arm",
    "build",
    "custom",
    "names",
    "properties",
    "rule_params",
    "search_values",
]


def __getattr__(name: str) -> Any:
    if name == "build":
        from sweeper.optimizers.builders import build

        return build
    if name == "custom":
        import importlib

        return importlib.import_module("sweeper.optimizers.custom")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
