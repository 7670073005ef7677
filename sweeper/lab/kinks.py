"""Which side of its kinks a piecewise smooth function is on.

ReLU, max pooling and the hinge loss have kinks: points where the slope jumps. A difference quotient across
one mixes the slopes of both sides and says nothing about the gradient. `Kinks` watches torch's operations
themselves and not modules, so it sees those in `_SIDES`, whoever calls them: what Sweeper's
networks and losses are made of. An operation that it doesn't know is taken as smooth: then a right gradient
may fail the check, but no wrong one passes.

Two evaluations on the same side of every kink can still have crossed one back and forth in between; with
steps as small as the gradient check's that needs two kinks of one unit within a step.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Side = Callable[[tuple[Any, ...], Any], torch.Tensor]
_aten = torch.ops.aten


def _is_positive(arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    return output > 0


def _is_changed(arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    given: torch.Tensor = arguments[0]
    return output != given


def _winners(arguments: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return output[1]


_SIDES: Mapping[Any, Side] = {
    _aten.relu.default: _is_positive,
    _aten.relu_.default: _is_positive,
    _aten.clamp.default: _is_changed,
    _aten.clamp_min.default: _is_changed,
    _aten.clamp_max.default: _is_changed,
    _aten.max_pool2d_with_indices.default: _winners,
}
"""Operations with kinks, and what tells the side of them on which each element is."""


class Kinks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records, while it is entered, the side of every kink that the operations inside meet, in order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sides: list[torch.Tensor] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        side = _SIDES.get(func)
        if side is not None:
            self.sides.append(side(args, output))
        return output


def same_side(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether two evaluations of one function, with their recorded sides, lie on one smooth piece of it."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
