"""The arms: the optimizers that Sweeper compares, under the lecture's names.

`names`, `properties` and the registry are free of torch; `build` imports it on first use.
"""

from typing import TYPE_CHECKING, Any

from sweeper.optimizers.arms import ARMS, ZEROED_EVERY, Arm, names, properties, rule_params, search_values

if TYPE_CHECKING:
    from sweeper.optimizers.builders import build

__all__ = [
    "ARMS",
    "ZEROED_EVERY",
    "Arm",
    "build",
    "names",
    "properties",
    "rule_params",
    "search_values",
]


def __getattr__(name: str) -> Any:
    if name == "build":
        from sweeper.optimizers.builders import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
