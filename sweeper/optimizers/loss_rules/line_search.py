"""How far to go along a direction."""

import torch

from sweeper.optimizers.loss_rules.objective import BudgetSpentError, LossRule, Objective

SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must bring (Nocedal and Wright 2006)."""

HALVINGS = 20
"""A step shorter than lr / 2^20 is none."""


def backtrack(
    rule: LossRule, objective: Objective, direction: torch.Tensor, loss: float, slope: float
) -> float | None:
    """Move `rule`'s weights along `direction` (P,), from lr times its length on, halving until it pays.

    A step pays with Armijo's condition f(w + t d) <= f(w) + 1e-4 t slope (Nocedal and Wright 2006, algorithm
    3.1) and a lower loss, without which a step too short for the weights' precision would seem to pay; each
    try is one forward pass. `loss` and `slope` are the loss and the directional derivative here. Gives the
    loss reached, or None, with the weights as they were, where no step pays or none is left.
    """
    start = rule.weights()
    length = rule.lr
    try:
        for _ in range(HALVINGS):
            rule.move_to(start + length * direction)
            reached = objective.loss()
            if reached < loss and reached <= loss + SUFFICIENT * length * slope:
                return reached
            length /= 2
    except BudgetSpentError:
        pass
    rule.move_to(start)
    return None
