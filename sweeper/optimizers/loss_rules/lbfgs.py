"""L-BFGS: torch's own, one iteration a step, without paying twice for the same point."""

from collections.abc import Callable, Iterable

import torch

from sweeper.optimizers.loss_rules.objective import CONVERGED, BudgetSpentError, LossRule, Objective


class LBFGS(torch.optim.LBFGS, LossRule):
    """torch's L-BFGS with the strong Wolfe line search, one iteration a step.

    torch evaluates the closure anew where the last step ended; here that evaluation is remembered, so a step
    costs what its line search costs. torch's `max_eval` doesn't bound a line search; the objective does, by
    BudgetSpentError, and then the weights stay at the best point that was evaluated.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 1.0, history: int = 10) -> None:
        torch.optim.LBFGS.__init__(
            self,
            params,
            lr=lr,
            max_iter=1,
            history_size=history,
            tolerance_grad=CONVERGED,
            line_search_fn="strong_wolfe",
        )

    def step(self, closure: Objective | Callable[[], float]) -> float:  # type: ignore[override]
        """One iteration: a gradient for each length that the line search tries."""
        before = self.weights()
        seen = _Seen(self, closure)
        try:
            torch.optim.LBFGS.step(self, seen)  # type: ignore[no-untyped-call]
        except BudgetSpentError:
            self.has_ended = True
            return seen.back_to_best()
        loss, gradient = seen.here()
        is_still = torch.equal(self.weights(), before)
        self.has_ended = is_still or float(gradient.abs().max()) <= CONVERGED
        return loss


class _Seen:
    """A closure that remembers every point it was asked for, and the one where the last step ended."""

    def __init__(self, rule: LBFGS, closure: Callable[[], float]) -> None:
        self._rule = rule
        self._closure = closure
        last = rule.memory.pop("ended_at", None)
        self._points: list[tuple[torch.Tensor, float, torch.Tensor]] = [last] if last else []

    def __call__(self) -> float:
        weights = self._rule.weights()
        for point, loss, gradient in self._points:
            if torch.equal(point, weights):
                self._put(gradient)
                return loss
        with torch.enable_grad():
            loss = float(self._closure())
        self._points.append((weights, loss, self._rule.gradient()))
        return loss

    def here(self) -> tuple[float, torch.Tensor]:
        """Loss and gradient at the weights as they are, kept for the next step."""
        loss = self()
        ended_at = next(point for point in self._points if torch.equal(point[0], self._rule.weights()))
        self._rule.memory["ended_at"] = ended_at
        return loss, ended_at[2]

    def back_to_best(self) -> float:
        """Move to the point with the lowest loss of those seen; that loss."""
        if not self._points:  # not even the first gradient could be paid
            return float("nan")
        weights, loss, _ = min(self._points, key=lambda point: point[1])
        self._rule.move_to(weights)
        return loss

    def _put(self, gradient: torch.Tensor) -> None:
        offset = 0
        for parameter in self._rule._params:
            n = parameter.numel()
            parameter.grad = gradient[offset : offset + n].view_as(parameter).clone()
            offset += n
