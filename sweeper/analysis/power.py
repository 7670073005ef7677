"""What a number of seeds can decide, by simulation."""

import numpy as np

from sweeper.analysis.comparison import unpaired
from sweeper.analysis.decision import judge


def power(
    n_seeds: int,
    n_others: int,
    difference_sd: float,
    *,
    simulations: int = 200,
    resamples: int = 1000,
    seed: int = 0,
) -> float:
    """The chance that a leader better than `n_others` equal arms is named better against one of them.

    Scores are normal with one standard deviation; the leader's mean lies `difference_sd` of them ahead. Named
    is "better" and "better, but hardly", averaged over the others, by the decision rule of the verdict.
    """
    generator = np.random.default_rng(seed)
    named = 0
    for _ in range(simulations):
        scores = generator.normal(size=(n_others + 1, n_seeds))
        scores[0] += difference_sd
        scores.sort(axis=1)
        family = [unpaired(scores[0], other, resamples, seed) for other in scores[1:]]
        named += sum(one.decision.is_better for one in judge(family))
    return named / (simulations * n_others)
