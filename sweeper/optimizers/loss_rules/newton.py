"""Newton's method, damped, with a line search."""

from collections.abc import Iterable

import torch

from sweeper.optimizers.loss_rules.line_search import backtrack
from sweeper.optimizers.loss_rules.objective import CONVERGED, LossRule, Objective

LEAST_GROWN = 1e-8
"""What damping grows to at least, so that it grows from 0 too."""


class Newton(LossRule):
    """Steps to the minimum of the quadratic model: solves (H + damping I) d = -gradient.

    Where H + damping I is not positive definite, the damping of this step grows tenfold until it is, so that
    the direction leads down (Nocedal and Wright 2006, algorithm 3.3). The linear algebra is in float64.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 1.0, damping: float = 1e-2) -> None:
        super().__init__(params, {"lr": lr, "damping": damping})

    def step(self, closure: Objective) -> float:  # type: ignore[override]
        """One step: a gradient, a Hessian, and a forward pass for each length that is tried."""
        loss = closure()
        gradient = self.gradient().double()
        if not torch.isfinite(gradient).all() or float(gradient.abs().max()) <= CONVERGED:
            self.has_ended = True
            return loss
        hessian = closure.hessian().double()
        if not torch.isfinite(hessian).all():  # no damping would ever make it positive definite
            self.has_ended = True
            return loss
        direction = -_solved(hessian, gradient, self.param_groups[0]["damping"])
        reached = backtrack(self, closure, direction, loss, float(gradient @ direction))
        self.has_ended = reached is None
        return loss if reached is None else reached


def _solved(hessian: torch.Tensor, gradient: torch.Tensor, damping: float) -> torch.Tensor:
    """(H + damping I)⁻¹ gradient, with the damping grown until the matrix is positive definite."""
    identity = torch.eye(len(gradient), dtype=hessian.dtype, device=hessian.device)
    while True:
        factor, failed = torch.linalg.cholesky_ex(hessian + damping * identity)
        if not failed:
            return torch.cholesky_solve(gradient[:, None], factor)[:, 0]
        damping = max(10 * damping, LEAST_GROWN)
