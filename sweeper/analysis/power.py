"""What a number of seeds can decide, by simulation."""

import math
from bisect import bisect_left
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy

from sweeper.analysis.comparison import unpaired
from sweeper.analysis.decision import ALPHA, judge

Floats = npt.NDArray[np.float64]

SEEDS = (5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 100)
"""The numbers of seeds that `seeds_to_decide` tries."""

ENOUGH = 0.8
"""The chance of a decision with which a number of seeds is enough."""


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


def seeds_to_decide(difference_sd: float, n_comparisons: int) -> int | None:
    """About how many seeds name a difference of that many standard deviations in 80 of 100 sweeps.

    None where 100 seeds don't. The comparison is one of `n_comparisons`, and bears their whole adjustment;
    scores are normal, with one standard deviation.
    """
    return _seeds_to_decide(round(abs(difference_sd), 2), n_comparisons)


def needed_seeds(a: Floats, b: Floats, n_comparisons: int) -> int | None:
    """About how many seeds would decide between samples whose difference is as it was seen.

    More than they have, for those didn't; None where 100 don't. See `seeds_to_decide`.
    """
    variances = [float(np.var(one, ddof=1)) for one in (a, b) if len(one) > 1]
    sd = math.sqrt(sum(variances) / len(variances)) if variances else 0.0
    n = seeds_to_decide(abs(float(np.mean(a) - np.mean(b))) / sd, n_comparisons) if sd else None
    return None if n is None else max(n, min(len(a), len(b)) + 1)


@lru_cache(maxsize=256)
def _seeds_to_decide(difference_sd: float, n_comparisons: int) -> int | None:
    if _chance(SEEDS[-1], difference_sd, n_comparisons) < ENOUGH:
        return None
    return SEEDS[bisect_left(SEEDS[:-1], ENOUGH, key=lambda n: _chance(n, difference_sd, n_comparisons))]


def _chance(n_seeds: int, difference_sd: float, n_comparisons: int) -> float:
    """The chance that p is small enough with the adjustment for all comparisons.

    The interval, of 95 % whatever the number of comparisons, is then beyond 0.5 as well.
    """
    pairs = np.random.default_rng(0).normal(size=(2, 1000, n_seeds))
    p = scipy.stats.mannwhitneyu(pairs[0] + difference_sd, pairs[1], axis=1).pvalue
    return float(np.mean(n_comparisons * p < ALPHA))
