"""The lecture's analytic gradients, written out in numpy: two losses of the linear model s = X W + b.

Both losses are L = (1/N) Σ_i L_i + λ Σ W²; the penalty is on the weights and not on the biases. Shapes: X
(N, D), W (D, C), b (C,), labels (N,) in 0..C-1; everything is float64. Source: the notes of Stanford's
CS231n, "Linear classification" (the losses), "Optimization" and "Putting it together" (their gradients).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LossAndGradient:
    """A loss, and its gradients `dw` (D, C) for the weights and `db` (C,) for the biases."""

    loss: float
    dw: Array
    db: Array


def softmax_cross_entropy(x: Array, labels: Labels, w: Array, b: Array, l2: float = 0.0) -> LossAndGradient:
    """L_i = -log p_iy with p_i = softmax(s_i); `l2` is λ.

    dL_i/ds_ij = p_ij - 1 for the label j = y_i, and p_ij for the other classes.
    """
    scores = x @ w + b
    rows = np.arange(len(labels))
    # Shifted so that the largest is 0: the probabilities are the same, and nothing overflows.
    scores -= scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores)
    sums = exponentials.sum(axis=1, keepdims=True)
    losses = np.log(sums[:, 0]) - scores[rows, labels]
    ds = exponentials / sums
    ds[rows, labels] -= 1
    return _back_to_parameters(losses, ds, x, w, l2)


def multiclass_svm(x: Array, labels: Labels, w: Array, b: Array, l2: float = 0.0) -> LossAndGradient:
    """L_i = Σ_{j≠y} max(0, s_ij - s_iy + 1), the hinge loss; `l2` is λ.

    dL_i/ds_ij = 1 for every other class j whose margin s_ij - s_iy + 1 is above 0, and for the label minus
    the number of these classes. Where a margin is exactly 0 there is no gradient; 0 is taken.
    """
    scores = x @ w + b
    rows = np.arange(len(labels))
    margins = np.maximum(0, scores - scores[rows, labels][:, None] + 1)
    margins[rows, labels] = 0
    ds = (margins > 0).astype(np.float64)
    ds[rows, labels] = -ds.sum(axis=1)
    return _back_to_parameters(margins.sum(axis=1), ds, x, w, l2)


def _back_to_parameters(losses: Array, ds: Array, x: Array, w: Array, l2: float) -> LossAndGradient:
    """The chain rule through s = X W + b, the mean over the samples, and the penalty."""
    n_samples = len(losses)
    return LossAndGradient(
        loss=float(losses.mean() + l2 * np.square(w).sum()),
        dw=x.T @ ds / n_samples + 2 * l2 * w,
        db=ds.sum(axis=0) / n_samples,
    )
