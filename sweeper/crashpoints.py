"""The moments at which a coordinator's death would be most awkward, by name.

The code calls `reach` where they lie; in ordinary life that does nothing. The chaos tests set a hook by `arm`
and kill or freeze the process there, so that every one of them is known to be survived, not hoped to be.
"""

import enum
from collections.abc import Callable


class Point(enum.StrEnum):
    """A moment in a coordinator's life."""

    LEASE_TAKEN = "lease taken"
    """The sweep is this coordinator's; it has done nothing with it."""
    BEFORE_COMMIT = "before commit"
    """A batch of writes is ready, and its transaction is not begun."""
    WITHIN_COMMIT = "within commit"
    """Every statement was sent, the commit was not."""
    AFTER_COMMIT = "after commit"
    """The writes are stored, and nobody was told."""
    BEFORE_DISPATCH = "before dispatch"
    """A stored trial is about to be handed out."""
    AFTER_DISPATCH = "after dispatch"
    """A trial was handed out; its attempt may not be stored yet."""
    BEFORE_ACKNOWLEDGEMENT = "before acknowledgement"
    """A stored write is known to be, and nothing was made of it."""
    AFTER_ACKNOWLEDGEMENT = "after acknowledgement"
    """What follows from a stored write was done: told to the search, to the judges."""
    BEFORE_CHECKPOINT = "before checkpoint"
    """A checkpoint is written in part."""
    AFTER_CHECKPOINT = "after checkpoint"
    """A checkpoint lies there whole, and the store knows nothing of it."""
    BEFORE_RELEASE = "before release"
    """Everything is stored, and the lease is still held."""


_hook: Callable[[Point], None] | None = None


def arm(hook: Callable[[Point], None] | None) -> None:
    """Call `hook` whenever this process reaches a point; None: no longer."""
    global _hook
    _hook = hook


def reach(point: Point) -> None:
    """Say that the process is at `point`."""
    if _hook is not None:
        _hook(point)
