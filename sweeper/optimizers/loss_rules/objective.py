"""What a rule that looks at the loss may ask, and what all such rules share."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch

CONVERGED = 1e-7
"""A gradient whose largest entry is no larger has nothing left to say (torch's L-BFGS has the same)."""


class BudgetSpentError(Exception):
    """The objective may not be evaluated again: the budget would be passed. Never reaches a user."""


class Objective(Protocol):
    """The loss as a function of the network's weights as they are now, the L2 term included.

    Each call may raise BudgetSpentError, before it computes anything.
    """

    def __call__(self) -> float:
        """The loss, with its gradient left in every parameter's `grad`."""
        ...

    def loss(self) -> float:
        """The loss alone: a forward pass."""
        ...

    def hessian(self) -> torch.Tensor:
        """The Hessian, of shape (P, P) over all P parameters in the network's order."""
        ...


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """A copy of all numbers of `tensors` as one vector (P,), in the order of their indices.

    torch's own `parameters_to_vector` refuses tensors whose memory has another order (channels_last).
    """
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


class LossRule(torch.optim.Optimizer):
    """A rule whose `step` takes an `Objective` and never ends with a higher loss than the step before it.

    `has_ended` says that another step would change nothing: the rule has converged, or its budget is spent.
    What it remembers lies in `state`, so `state_dict` holds it, but neither `has_ended` nor `generator`, from
    which a rule draws that does.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._params: list[torch.nn.Parameter] = [p for group in self.param_groups for p in group["params"]]
        self.has_ended = False
        self.generator: torch.Generator | None = None

    def step(self, closure: Objective) -> float:  # type: ignore[override]
        """Take one step; the loss where it ended."""
        raise NotImplementedError

    @property
    def memory(self) -> dict[str, Any]:
        """What the rule keeps from step to step."""
        found: dict[str, Any] = self.state[self._params[0]]
        return found

    def weights(self) -> torch.Tensor:
        """A copy of all weights, as one vector (P,)."""
        return flat(self._params)

    def move_to(self, weights: torch.Tensor) -> None:
        """Set all weights from one vector (P,)."""
        with torch.no_grad():
            for parameter, values in zip(self._params, self._pieces(weights), strict=True):
                parameter.copy_(values)

    def gradient(self) -> torch.Tensor:
        """A copy of the gradient that lies in the parameters, as one vector (P,)."""
        return flat(p.grad if p.grad is not None else torch.zeros_like(p) for p in self._params)

    def set_gradient(self, gradient: torch.Tensor) -> None:
        """Set every parameter's `grad` from one vector (P,)."""
        for parameter, values in zip(self._params, self._pieces(gradient), strict=True):
            parameter.grad = values.clone()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on as the rule would have whose `state_dict` it is."""
        super().load_state_dict(state_dict)
        for name, value in state_dict["state"].get(0, {}).items():
            if isinstance(value, torch.Tensor):  # torch has given it the weights' type: half of the digits
                self.memory[name] = value.to(self._params[0].device)

    def _pieces(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """A vector (P,) as tensors of the parameters' shapes."""
        pieces = torch.split(vector, [p.numel() for p in self._params])
        return [piece.view(p.shape) for piece, p in zip(pieces, self._params, strict=True)]

    @property
    def lr(self) -> float:
        """The first group's learning rate."""
        return float(self.param_groups[0]["lr"])
