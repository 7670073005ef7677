"""Bootstrap intervals: samples drawn again with replacement, as counts of how often each value was drawn."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy  # scipy.stats takes most of a second, so it is loaded at its first use

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95


def iqm(x: Sequence[float] | Floats) -> float:
    """The interquartile mean: the mean without the lowest and the highest quarter (Agarwal et al. 2021)."""
    return float(scipy.stats.trim_mean(np.asarray(x, dtype=np.float64), 0.25))


def bootstrap_interval(
    x: Sequence[float] | Floats, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the interquartile mean (Agarwal et al. 2021)."""
    values = np.sort(np.asarray(x, dtype=np.float64))
    drawn = np.random.default_rng(seed).choice(values, (resamples, len(values)))
    return interval(np.asarray(scipy.stats.trim_mean(drawn, 0.25, axis=1)))


def interval(estimates: Floats) -> tuple[float, float]:
    """The middle 95 % of bootstrap estimates."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(estimates, (tail, 1 - tail))
    return float(low), float(high)


@lru_cache(maxsize=8)
def counts(n: int, resamples: int, seed: int, stream: int = 0) -> Floats:
    """How often each of `n` values was drawn in each of the resamples: (n, resamples), columns of sum n.

    Streams of one seed are independent. The same array is handed out again: it must not be written to.
    """
    generator = np.random.default_rng([seed, stream])
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples)
    return _frozen(drawn.T.astype(np.float64, order="C"))


@lru_cache(maxsize=8)
def cumulated(n: int, resamples: int, seed: int, stream: int = 0) -> Floats:
    """How often any of the first k values was drawn: `counts` summed up, (n + 1, resamples), from 0 to n."""
    nothing = np.zeros((1, resamples))
    return _frozen(np.cumsum(np.vstack([nothing, counts(n, resamples, seed, stream)]), axis=0))


def _frozen(array: Floats) -> Floats:
    array.setflags(write=False)
    return array
