"""Rules that look at the loss itself, not only at a minibatch's gradient: each a `torch.optim.Optimizer`.

Their `step` takes an `Objective`, which torch's own rules can take as their closure too.
"""

from sweeper.optimizers.loss_rules.bfgs import BFGS
from sweeper.optimizers.loss_rules.draws import LocalSearch, RandomSearch
from sweeper.optimizers.loss_rules.lbfgs import LBFGS
from sweeper.optimizers.loss_rules.newton import Newton
from sweeper.optimizers.loss_rules.objective import BudgetSpentError, LossRule, Objective

__all__ = [
    "BFGS",
    "LBFGS",
    "BudgetSpentError",
    "LocalSearch",
    "LossRule",
    "Newton",
    "Objective",
    "RandomSearch",
]
