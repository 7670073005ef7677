"""What a trial's result counts for: its score, chance level, and when a setting is dead.

Pure numbers, used alike by the search (what Optuna is told) and by the analysis (what a user reads), so that
both mean the same by "better".
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def higher_is_better(objective: str) -> bool:
    """Whether a larger value of `objective` is the better one: True for accuracies."""
    return objective.endswith("accuracy")


def chance_level(objective: str, loss: str, n_classes: int | None) -> float | None:
    """What a model that knows nothing reaches: ln C for cross-entropy, C - 1 for hinge, accuracy 1/C.

    None where the number of classes is not known.
    """
    if n_classes is None:
        return None
    if higher_is_better(objective):
        return 1 / n_classes
    return math.log(n_classes) if loss == "cross_entropy" else n_classes - 1


def scores(
    values: Sequence[float | None] | npt.NDArray[np.float64],
    objective: str,
    loss: str,
    n_classes: int | None,
) -> npt.NDArray[np.float64]:
    """The scores of raw objective values: never worse than not training at all.

    A loss above chance level, NaN, None or infinite counts as chance level, an accuracy below 1/C as 1/C, so
    that means, bands and ranks stay finite and dead settings tie. Where chance level is not known nothing is
    capped, and what is not finite counts as the worst of the finite values; NaN where there are none.
    """
    chance = chance_level(objective, loss, n_classes)
    raw = np.asarray(values, dtype=np.float64)
    if chance is None:
        finite = raw[np.isfinite(raw)]
        worst = (finite.min() if higher_is_better(objective) else finite.max()) if len(finite) else np.nan
        return np.where(np.isfinite(raw), raw, worst)
    bounded = np.where(np.isfinite(raw), raw, chance)
    return np.maximum(bounded, chance) if higher_is_better(objective) else np.minimum(bounded, chance)


def score(value: float | None, objective: str, loss: str, n_classes: int | None) -> float:
    """The score of one raw objective value; see `scores`."""
    chance = chance_level(objective, loss, n_classes)
    if chance is None:
        return float(scores([value], objective, loss, n_classes)[0])
    bounded = value if value is not None and math.isfinite(value) else chance
    return float(max(bounded, chance) if higher_is_better(objective) else min(bounded, chance))


def best_first(
    scores: Sequence[float], diverged: Sequence[bool], numbers: Sequence[int], *, higher_is_better: bool
) -> list[int]:
    """The positions of these trials, the best first: the one order in which settings are chosen.

    Of equal ones those that did not diverge come first, then the lower trial number.
    """
    ranks = np.asarray(scores, dtype=np.float64) * (-1 if higher_is_better else 1)
    return [int(place) for place in np.lexsort([np.asarray(numbers), np.asarray(diverged), ranks])]


def dead_accuracy(n_classes: int | None, n_images: int) -> float:
    """The validation accuracy below which a setting is dead: 1/C + 3 standard errors on `n_images`.

    NaN, below which nothing is, where the number of classes is not known.
    """
    if n_classes is None:
        return math.nan
    chance = 1 / n_classes
    return chance + 3 * math.sqrt(chance * (1 - chance) / n_images)


def has_diverged(losses: Sequence[float | None], starting_loss: float) -> bool:
    """Whether a loss seen after an epoch is NaN, infinite or above 100 times the starting loss."""
    return any(
        loss is not None and (not math.isfinite(loss) or loss > 100 * starting_loss) for loss in losses
    )
