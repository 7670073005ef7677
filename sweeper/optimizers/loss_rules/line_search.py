"""How far to go along a direction."""

import torch

from sweeper.optimizers.loss_rules.objective import BudgetSpentError, LossRule, Objective

SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must bring (Nocedal and Wright 2006)."""

LEAST_DECREASE = 1e-9
"""A decrease that promises less can't be told from rounding (torch's L-BFGS has the same)."""

HALVINGS = 20
"""A step shorter than lr / 2^20 is none."""


def backtrack(
    rule: LossRule, objective: Objective, direction: torch.Tensor, loss: float, slope: float
) -> float | None:
    """Move `rule`'s weights along `direction` (P,), from lr times its length on, halving until it pays.

    A step pays with Armijo's condition f(w + t d) <= f(w) + 1e-4 t slope (Nocedal and Wright 2006, algorithm
    3.1); each try is one forward pass. `loss` and `slope` are the loss and the directional derivative here.
    Gives the loss reached, or None, with the weights as they were, where no step pays or none is left.
    """
    if slope > -LEAST_DECREASE:
        return None
    start = rule.weights()
    length = rule.lr
    try:
        for _ in range(HALVINGS):
            rule.move_to(start + length * direction)
            reached = objective.loss()
            # Lower, too: at the end what the condition asks for is below the loss's last digit.
            if reached < loss and reached <= loss + SUFFICIENT * length * slope:
                return reached
            length /= 2
    except BudgetSpentError:
        pass
    rule.move_to(start)
    return None
