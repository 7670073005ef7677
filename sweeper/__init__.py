"""Sweeper: which optimizer, tuned how, trains this small image model best, and how sure are we?

    >>> import sweeper
    >>> sweep = sweeper.run("experiments/quickstart.toml", store="sqlite:///sweeper.db")
    >>> sweep.summary()

Importing this package imports neither torch nor ray.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.api import Sweep, import_trials, load, resume, run

__all__ = ["Sweep", "import_trials", "load", "resume", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("sweeper.api"), name)
    if name == "__version__":
        return metadata.version("sweeper")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
