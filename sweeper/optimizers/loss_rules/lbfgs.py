"""L-BFGS: torch's own, one iteration a step, without paying twice for the same point."""

import math
from collections.abc import Callable, Iterable

import torch

from sweeper.optimizers.loss_rules.objective import CONVERGED, BudgetSpentError, LossRule, Objective

TRIES = 25
"""The most lengths that one line search tries."""


class LBFGS(torch.optim.LBFGS, LossRule):
    """torch's L-BFGS with the strong Wolfe line search, one iteration a step.

    torch evaluates the closure anew where the last step ended; here that evaluation is remembered, so a step
    costs what its line search costs. Where the objective says BudgetSpentError, the weights stay at the best
    point that was evaluated.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 1.0, history: int = 10) -> None:
        torch.optim.LBFGS.__init__(
            self,
            params,
            lr=lr,
            max_iter=1,
            # By torch's default, 1, newer versions try a single length, and end where that is too long.
            max_eval=1 + TRIES,
            history_size=history,
            tolerance_grad=CONVERGED,
            line_search_fn="strong_wolfe",
        )

    def step(self, closure: Objective | Callable[[], float]) -> float:  # type: ignore[override]
        """One iteration: a gradient for each length that the line search tries."""
        before = self.weights()
        seen = _Seen(self, closure)
        try:
            loss = seen()
            if not math.isfinite(loss) or not torch.isfinite(self.gradient()).all():
                self.has_ended = True
                return loss
            torch.optim.LBFGS.step(self, seen)  # type: ignore[no-untyped-call]
            loss = seen.keep()
        except BudgetSpentError:
            self.has_ended = True
            return seen.back_to_best()
        is_still = torch.equal(self.weights(), before)
        self.has_ended = is_still or float(self.gradient().abs().max()) <= CONVERGED
        return loss


class _Seen:
    """A closure that remembers every point it was asked for, and the one where the last step ended.

    A loss that is not finite is infinite here, its gradient NaN: torch's line search halves the step then,
    while it would walk on into a loss of NaN.
    """

    def __init__(self, rule: LBFGS, closure: Callable[[], float]) -> None:
        self._rule = rule
        self._closure = closure
        last = rule.memory.pop("ended_at", None)
        self._points: list[tuple[torch.Tensor, float, torch.Tensor]] = [last] if last else []

    def __call__(self) -> float:
        weights = self._rule.weights()
        for point, loss, gradient in self._points:
            if torch.equal(point, weights):
                self._rule.set_gradient(gradient)
                return loss
        with torch.enable_grad():
            found = float(self._closure())
        loss, gradient = found, self._rule.gradient()
        if not math.isfinite(found):
            loss, gradient = math.inf, torch.full_like(gradient, math.nan)
        self._points.append((weights, loss, gradient))
        self._rule.set_gradient(gradient)  # in the order in memory that torch's L-BFGS wants
        return loss

    def keep(self) -> float:
        """Remember the weights as they are for the next step; the loss there."""
        loss = self()
        self._rule.memory["ended_at"] = (self._rule.weights(), loss, self._rule.gradient())
        return loss

    def back_to_best(self) -> float:
        """Move to the point with the lowest loss of those seen; that loss."""
        if not self._points:  # not even the first gradient could be paid
            return float("nan")
        weights, loss, _ = min(self._points, key=lambda point: point[1])
        self._rule.move_to(weights)
        return loss
