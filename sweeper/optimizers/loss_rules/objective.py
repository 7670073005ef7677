"""What a rule that looks at the loss may ask, and what all such rules share."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

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


class LossRule(torch.optim.Optimizer):
    """A rule whose `step` takes an `Objective` and leaves the weights where the loss is lowest of all it saw.

    `has_ended` says that another step would change nothing: the rule has converged, or its budget is spent.
    What it remembers lies in `state`, so `state_dict` holds it.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        self._params: list[torch.nn.Parameter] = [p for group in self.param_groups for p in group["params"]]
        self.has_ended = False

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
        return parameters_to_vector(self._params).detach().clone()

    def move_to(self, weights: torch.Tensor) -> None:
        """Set all weights from one vector (P,)."""
        with torch.no_grad():
            vector_to_parameters(weights.to(self._params[0].dtype), self._params)

    def gradient(self) -> torch.Tensor:
        """A copy of the gradient that lies in the parameters, as one vector (P,)."""
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._params]
        return parameters_to_vector(grads).detach().clone()

    @property
    def lr(self) -> float:
        """The first group's learning rate."""
        return float(self.param_groups[0]["lr"])
