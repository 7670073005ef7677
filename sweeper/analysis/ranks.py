"""Exact tests of whether two samples differ: Mann-Whitney for seeds of their own, sign flips for shared ones.

Both give the two-sided p twice the smaller tail of the permutation distribution, at most 1, as
`scipy.stats.permutation_test` does. scipy's own exact Mann-Whitney ignores ties, and its permutation method
enumerates 184,756 permutations for two samples of ten; the distribution is counted here instead.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy

Floats = npt.NDArray[np.float64]

MOST_ADDITIONS = 500_000_000
"""The exact rank distribution may take so many additions, about a second; two samples of 85 do."""

MOST_PAIRS = 20
"""So many differences have their 2**n signs enumerated."""


def mann_whitney_p(a: Floats, b: Floats) -> float:
    """The two-sided p of the Mann-Whitney test, exact with ties too.

    The rank sum of `a` among the permutations of both samples' midranks (Mann and Whitney 1947; Lehmann 1975
    for ties). For samples too large to count, scipy's normal approximation with its correction for ties.
    """
    doubled = np.rint(2 * scipy.stats.rankdata(np.concatenate([a, b]))).astype(np.int64)
    smaller, ranks = (len(a), doubled[: len(a)]) if len(a) <= len(b) else (len(b), doubled[len(a) :])
    if len(doubled) * smaller * int(doubled.sum()) > MOST_ADDITIONS:
        return float(scipy.stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    at_most, at_least = _rank_sum_tails(tuple(sorted(doubled.tolist())), smaller)
    observed = int(ranks.sum())
    return float(min(1.0, 2 * min(at_most[observed], at_least[observed])))


@lru_cache(maxsize=16)
def _rank_sum_tails(doubled: tuple[int, ...], n: int) -> tuple[Floats, Floats]:
    """For each sum, the shares of subsets of `n` of these ranks that sum to at most, and to at least, it."""
    counts = np.zeros((n + 1, sum(doubled) + 1))
    counts[0, 0] = 1
    for rank in doubled:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank]
    shares = counts[n] / math.comb(len(doubled), n)
    return np.cumsum(shares), np.cumsum(shares[::-1])[::-1]


def sign_flip_p(a: Floats, b: Floats) -> float:
    """The two-sided p of paired samples: their summed difference among all flips of the differences' signs.

    Fisher's permutation test for matched pairs (1935); past 20 pairs its normal approximation, with the
    variance of the flips, the sum of squared differences.
    """
    differences = a - b
    observed = float(abs(differences.sum()))
    if len(differences) > MOST_PAIRS:
        spread = math.sqrt(float((differences**2).sum()))
        return float(2 * scipy.stats.norm.sf(observed / spread)) if spread else 1.0
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    rounding = 1e-12 * float(np.abs(differences).sum())
    return min(1.0, 2 * float(np.mean(sums >= observed - rounding)))


def least_p(n_a: int, n_b: int, *, paired: bool) -> float:
    """The p of the clearest possible difference between samples of these sizes, without ties."""
    return min(1.0, 2 / (2**n_a if paired else math.comb(n_a + n_b, n_a)))
