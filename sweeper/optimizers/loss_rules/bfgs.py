"""BFGS, damped, with a line search."""

from collections.abc import Iterable

import torch

from sweeper.optimizers.loss_rules.line_search import backtrack
from sweeper.optimizers.loss_rules.objective import CONVERGED, BudgetSpentError, LossRule, Objective


class BFGS(LossRule):
    """Keeps an approximate inverse Hessian, which every step updates by rank two.

    Damping has the meaning that it has in `Newton`: the pairs of steps s and gradient changes y are taken as
    those of H + damping I, whose y is y + damping s, so what is kept approximates (H + damping I)⁻¹. The
    update is formula 6.17 of Nocedal and Wright 2006, the first scaling 6.20; pairs without curvature are
    left out. The matrix is in float64.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 1.0, damping: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr, "damping": damping})

    def step(self, closure: Objective) -> float:  # type: ignore[override]
        """One step: a forward pass for each length that is tried, then a gradient.

        The first step asks for the gradient where it starts, too.
        """
        memory = self.memory
        if not memory:
            memory["loss"], memory["gradient"] = closure(), self.gradient().double()
        loss: float = memory["loss"]
        gradient: torch.Tensor = memory["gradient"]
        if not torch.isfinite(gradient).all() or float(gradient.abs().max()) <= CONVERGED:
            self.has_ended = True
            return loss
        before = self.weights()
        reached = self._move(closure, loss, gradient)
        if reached is None:
            self.has_ended = True
            return loss
        try:
            memory["loss"], memory["gradient"] = closure(), self.gradient().double()
        except BudgetSpentError:
            self.has_ended = True
            return reached
        self._learn((self.weights() - before).double(), memory["gradient"] - gradient)
        return float(memory["loss"])

    def _move(self, closure: Objective, loss: float, gradient: torch.Tensor) -> float | None:
        """Along the inverse's direction; where that doesn't pay, along the gradient, the rest forgotten."""
        inverse = self.memory.get("inverse")
        if inverse is not None:
            direction = -(inverse @ gradient)
            reached = backtrack(self, closure, direction, loss, float(gradient @ direction))
            if reached is not None:
                return reached
            del self.memory["inverse"]
        return backtrack(self, closure, -gradient, loss, -float(gradient @ gradient))

    def _learn(self, s: torch.Tensor, y: torch.Tensor) -> None:
        """Update the inverse by the pair (s, y)."""
        y = y + self.param_groups[0]["damping"] * s
        curvature = s @ y
        if curvature <= 1e-10 * s.norm() * y.norm():
            return
        identity = torch.eye(len(s), dtype=s.dtype, device=s.device)
        inverse = self.memory.get("inverse")
        if inverse is None:
            inverse = curvature / (y @ y) * identity
        # (I - s y'/c) B (I - y s'/c) + s s'/c, multiplied out: O(P²), not O(P³).
        by = inverse @ y
        scale = (curvature + y @ by) / curvature**2
        cross = torch.outer(by, s) / curvature
        self.memory["inverse"] = inverse - cross - cross.T + scale * torch.outer(s, s)
