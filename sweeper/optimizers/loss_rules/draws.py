"""Rules without a gradient: random search and random local search."""

from collections.abc import Iterable

import torch

from sweeper.optimizers.loss_rules.objective import BudgetSpentError, LossRule, Objective

DRAW_SD = 1e-4
"""The standard deviation of random search's weights (the lecture's)."""


class _Draws(LossRule):
    """Keeps the incumbent: the weights with the lowest loss so far."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], generator: torch.Generator | None, **defaults: float
    ) -> None:
        super().__init__(params, defaults)
        self.generator = generator

    def _normal(self, sd: float) -> torch.Tensor:
        """Fresh draws from N(0, sd²), (P,). Drawn on the CPU, so a seed means the same on every device."""
        like = self.weights()
        return sd * torch.randn(len(like), generator=self.generator).to(like)

    def _try(self, candidate: torch.Tensor, closure: Objective) -> float:
        """Move to `candidate` if its loss is lower than the incumbent's; the loss of the better one."""
        incumbent = self.weights()
        best: float = self.memory.get("loss", float("inf"))
        self.move_to(candidate)
        try:
            loss = closure.loss()
        except BudgetSpentError:
            self.move_to(incumbent)
            self.has_ended = True
            return best
        if loss < best:
            self.memory["loss"] = loss
            return loss
        self.move_to(incumbent)
        return best


class RandomSearch(_Draws):
    """Draws all weights from N(0, 1e-4²) and keeps the best draw: the lecture's "foolish decision"."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], generator: torch.Generator | None = None
    ) -> None:
        super().__init__(params, generator)

    def step(self, closure: Objective) -> float:  # type: ignore[override]
        """One draw: a forward pass."""
        return self._try(self._normal(DRAW_SD), closure)


class LocalSearch(_Draws):
    """Adds N(0, step²) to the weights and stays there if the loss is lower."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        step: float = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(params, generator, step=step)

    def step(self, closure: Objective) -> float:  # type: ignore[override]
        """One try: a forward pass, and in the first step one of the weights it starts from."""
        if not self.memory:
            self.memory["loss"] = closure.loss()
        return self._try(self.weights() + self._normal(self.param_groups[0]["step"]), closure)
