"""Is one optimizer better than another? The probability of improvement, with interval, p and decision."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweeper.analysis import resampling
from sweeper.analysis.decision import Evidence, Improvement, judge
from sweeper.analysis.ranks import least_p, mann_whitney_p, sign_flip_p
from sweeper.errors import UsageError

Floats = npt.NDArray[np.float64]
Scores = Sequence[float] | Floats

RESULT = ("estimate", "low", "high", "p", "decision")


def probability_of_improvement(
    a: Scores,
    b: Scores,
    *,
    higher_is_better: bool,
    paired: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> Improvement:
    """The probability that a run of `a` beats a run of `b`, of which ties count half.

    The estimate is U / nm of Mann and Whitney (1947), the interval a 95 % percentile bootstrap of both
    samples, p exact (`ranks.mann_whitney_p`). `paired`: both ran the same seeds, in this order; then the
    estimate is over matched pairs, the bootstrap resamples seeds, and p is that of the sign flips. The
    decision is for this one comparison, unadjusted. Raises UsageError for scores that can't be compared.
    """
    return judge([_evidence(_checked("a", a), _checked("b", b), higher_is_better, paired, resamples, seed)])[
        0
    ]


def compare(
    scores_by_optimizer: Mapping[str, Scores],
    leader: str,
    *,
    higher_is_better: bool,
    paired: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leader against each of the others, and all pairs.

    The first frame has `optimizer` and the leader's probability to beat it (`estimate, low, high, p,
    decision`), the second the same of `a` against `b`. Each is a family of its own, with p adjusted by Holm
    within it. The leader must have been chosen before these scores were seen. Raises UsageError for scores
    that can't be compared.
    """
    scores = {name: _checked(name, values) for name, values in scores_by_optimizer.items()}
    if leader not in scores:
        raise UsageError(f"leader {leader!r} has no scores; legal: {', '.join(scores)}")

    def evidence(a: str, b: str) -> Evidence:
        return _evidence(scores[a], scores[b], higher_is_better, paired, resamples, seed)

    others = [name for name in scores if name != leader]
    pairs = list(itertools.combinations(scores, 2))
    against = judge([evidence(leader, name) for name in others])
    of_pairs = judge([evidence(a, b) for a, b in pairs])
    return (
        pd.DataFrame(
            [(name, *_row(one)) for name, one in zip(others, against, strict=True)],
            columns=["optimizer", *RESULT],
        ),
        pd.DataFrame(
            [(*pair, *_row(one)) for pair, one in zip(pairs, of_pairs, strict=True)],
            columns=["a", "b", *RESULT],
        ),
    )


def compare_each(
    first: Mapping[str, Scores],
    second: Mapping[str, Scores],
    *,
    higher_is_better: bool,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each name's scores in `first` against those of the same name in `second`.

    Frame `optimizer, estimate, low, high, p, decision` for the names that both have; one family, with p
    adjusted by Holm. Raises UsageError for scores that can't be compared.
    """
    names = [name for name in first if name in second]
    family = judge(
        [
            _evidence(
                _checked(name, first[name]),
                _checked(name, second[name]),
                higher_is_better,
                False,
                resamples,
                seed,
            )
            for name in names
        ]
    )
    rows = [(name, *_row(one)) for name, one in zip(names, family, strict=True)]
    return pd.DataFrame(rows, columns=["optimizer", *RESULT])


def _row(improvement: Improvement) -> tuple[float, float, float, float, str]:
    return (
        improvement.estimate,
        improvement.low,
        improvement.high,
        improvement.p,
        improvement.decision.value,
    )


def _checked(name: str, scores: Scores) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError(f"scores of {name}: must be one or more finite numbers")
    return values


def _evidence(
    a: Floats, b: Floats, higher_is_better: bool, paired: bool, resamples: int, seed: int
) -> Evidence:
    if not higher_is_better:
        a, b = -a, -b
    if paired and len(a) != len(b):
        raise UsageError(f"paired scores: {len(a)} and {len(b)} of them; both must be of the same seeds")
    if paired:
        return _paired(a, b, resamples, seed)
    a, b = np.sort(a), np.sort(b)
    # Which of the two draws from which stream must not depend on the order in which they are given.
    if (len(b), b.tolist()) < (len(a), a.tolist()):
        estimate, low, high, p, least = unpaired(b, a, resamples, seed)
        return Evidence(1 - estimate, 1 - high, 1 - low, p, least)
    return unpaired(a, b, resamples, seed)


def unpaired(a: Floats, b: Floats, resamples: int, seed: int) -> Evidence:
    """`a` against `b`, each sorted, of which the larger is the better, with seeds of their own.

    How often a resampled `a` beats one value of `b` is what was drawn above that value: read off cumulated
    counts, for all resamples at once, without a matrix of all pairs.
    """
    beaten, tied = np.searchsorted(a, b, "left"), np.searchsorted(a, b, "right")
    n_pairs = len(a) * len(b)
    drawn_a = resampling.cumulated(len(a), resamples, seed, 0)
    drawn_b = resampling.counts(len(b), resamples, seed, 1)
    wins = len(a) - 0.5 * (drawn_a[beaten] + drawn_a[tied])
    low, high = resampling.interval(np.einsum("br,br->r", wins, drawn_b) / n_pairs)
    estimate = 1 - 0.5 * float(beaten.sum() + tied.sum()) / n_pairs
    return Evidence(estimate, low, high, mann_whitney_p(a, b), least_p(len(a), len(b), paired=False))


def _paired(a: Floats, b: Floats, resamples: int, seed: int) -> Evidence:
    wins = np.sort((a > b) + 0.5 * (a == b))
    low, high = resampling.interval(wins @ resampling.counts(len(a), resamples, seed) / len(wins))
    return Evidence(float(wins.mean()), low, high, sign_flip_p(a, b), least_p(len(a), len(b), paired=True))
