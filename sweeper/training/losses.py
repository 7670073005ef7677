"""The losses: softmax cross-entropy and the multiclass SVM (hinge) loss, and the L2 penalty beside them.

Each takes scores (N, C), labels (N,) in 0..C-1 and a `reduction`, `mean` or `sum` over the N samples.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch.nn import functional as F

Loss = Callable[..., torch.Tensor]


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """L_i = -log softmax(s)_y."""
    return F.cross_entropy(scores, labels, reduction=reduction)


def hinge(scores: torch.Tensor, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """L_i = Σ_{j≠y} max(0, s_j - s_y + 1), summed over classes as the lecture does.

    torch's `multi_margin_loss` divides each sample's loss by C.
    """
    margins = scores - scores.gather(1, labels[:, None]) + 1
    # The label's own margin is 1 whatever the scores are; its gradient is 0.
    losses = margins.clamp(min=0).sum(dim=1) - 1
    return losses.mean() if reduction == "mean" else losses.sum()


LOSSES: Mapping[str, Loss] = {"cross_entropy": cross_entropy, "hinge": hinge}
"""Every loss under the experiment file's name for it."""


def penalty(parameters: Iterable[torch.Tensor], weight_decay: float) -> torch.Tensor:
    """λ Σ W² with `weight_decay` = 2λ, over weights and not over biases (parameters of one dimension).

    Its gradient is `weight_decay` times W: what torch's optimizers add for their own `weight_decay`.
    """
    squares = [parameter.square().sum() for parameter in parameters if parameter.ndim > 1]
    return weight_decay / 2 * torch.stack(squares).sum()
