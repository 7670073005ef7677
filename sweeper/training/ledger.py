"""What a trial has spent of its budget, which is counted in samples.

One sample through a gradient evaluation costs 1, through a forward pass alone 1/3, through a Hessian-vector
product 2. `epochs` is that sum over the size of the training set; validation is not charged.
"""

from fractions import Fraction

from sweeper.optimizers.arm import StepCost
from sweeper.optimizers.loss_rules.objective import BudgetSpentError


class Ledger:
    """Counts what is spent: up to `epochs` times `n_train` samples, or, where given, up to `max_steps`."""

    def __init__(self, n_train: int, epochs: int, max_steps: int | None = None) -> None:
        self._n_train = n_train
        self._budget = 3 * n_train * epochs if max_steps is None else None
        self._max_steps = max_steps
        self._thirds = 0
        self.steps = 0
        self.grad_evals = 0

    def state(self) -> dict[str, int]:
        """What is spent, as numbers."""
        return {"thirds": self._thirds, "steps": self.steps, "grad_evals": self.grad_evals}

    def restore(self, state: dict[str, int]) -> None:
        """Have spent what `state` says."""
        self._thirds, self.steps, self.grad_evals = (state[key] for key in ("thirds", "steps", "grad_evals"))

    @property
    def samples(self) -> int:
        """What is spent, in samples, rounded."""
        return round(Fraction(self._thirds, 3))

    @property
    def epochs(self) -> int:
        """How many epochs' worth is spent in full."""
        return self._thirds // (3 * self._n_train)

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, in 0..1."""
        if self._budget is None:
            assert self._max_steps is not None
            return self.steps / self._max_steps
        return self._thirds / self._budget

    def affords(self, cost: StepCost, n_images: int, n_parameters: int = 0) -> bool:
        """Whether a step of that cost, on that many images, stays within the budget."""
        if self._max_steps is not None and self.steps >= self._max_steps:
            return False
        return self._fits(n_images * cost.thirds_per_image(n_parameters))

    def gradient(self, n_images: int) -> None:
        """Charge a gradient evaluation on `n_images`. Raises BudgetSpentError, as the others do."""
        self._charge(3 * n_images)
        self.grad_evals += 1

    def forward(self, n_images: int) -> None:
        """Charge a forward pass alone."""
        self._charge(n_images)

    def hessian(self, n_images: int, n_parameters: int) -> None:
        """Charge a Hessian: a Hessian-vector product for each parameter."""
        self._charge(6 * n_images * n_parameters)

    def _charge(self, thirds: int) -> None:
        if not self._fits(thirds):
            raise BudgetSpentError
        self._thirds += thirds

    def _fits(self, thirds: int) -> bool:
        return self._budget is None or self._thirds + thirds <= self._budget
