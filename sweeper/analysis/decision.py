"""When a difference between two optimizers may be called one: the rule, and what it needs."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweeper.analysis.ranks import least_p

ALPHA = 0.05
"""A family's chance of any false alarm."""

LITTLE, MUCH = 0.25, 0.75
"""Between these a probability of improvement doesn't matter (Bouthillier et al. 2021)."""


class Decision(enum.StrEnum):
    """What a comparison of two optimizers came to, seen from the first."""

    BETTER = "better"
    HARDLY_BETTER = "better, but hardly"
    NO_DIFFERENCE = "no difference that matters"
    UNDECIDED = "undecided"
    HARDLY_WORSE = "worse, but hardly"
    WORSE = "worse"
    TOO_FEW_SEEDS = "these seeds cannot decide"

    @property
    def is_better(self) -> bool:
        """Whether the first is named better, clearly or hardly."""
        return self in (Decision.BETTER, Decision.HARDLY_BETTER)

    @property
    def is_worse(self) -> bool:
        """Whether the first is named worse, clearly or hardly."""
        return self in (Decision.WORSE, Decision.HARDLY_WORSE)


@dataclass(frozen=True, slots=True)
class Improvement:
    """The probability that one optimizer beats another: estimate, 95 % interval, p and decision."""

    estimate: float
    low: float
    high: float
    p: float
    decision: Decision


class Evidence(NamedTuple):
    """A comparison before the decision: `p` is unadjusted, `least_p` what these samples could reach."""

    estimate: float
    low: float
    high: float
    p: float
    least_p: float


def judge(family: Sequence[Evidence]) -> list[Improvement]:
    """The decisions on a family of comparisons, p adjusted by Holm.

    With fewer seeds than the family can carry there is nothing to decide.
    """
    adjusted = holm([evidence.p for evidence in family])
    return [
        Improvement(
            evidence.estimate,
            evidence.low,
            evidence.high,
            p,
            decide(p, evidence.low, evidence.high)
            if evidence.least_p * len(family) < ALPHA
            else Decision.TOO_FEW_SEEDS,
        )
        for evidence, p in zip(family, adjusted, strict=True)
    ]


def decide(p: float, low: float, high: float) -> Decision:
    """The decision on an adjusted `p` and the interval of the probability of improvement.

    A difference must be there (p, and an interval beyond 0.5), and may be large enough to matter (an interval
    that reaches beyond 0.75): Bouthillier et al. 2021.
    """
    if p < ALPHA and low > 0.5:
        return Decision.BETTER if high > MUCH else Decision.HARDLY_BETTER
    if p < ALPHA and high < 0.5:
        return Decision.WORSE if low < LITTLE else Decision.HARDLY_WORSE
    if low >= LITTLE and high <= MUCH:
        return Decision.NO_DIFFERENCE
    return Decision.UNDECIDED


def holm(p: Sequence[float]) -> list[float]:
    """The p values adjusted for their number, in their order (Holm 1979)."""
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted


def fewest_seeds(n_comparisons: int, *, paired: bool = False) -> int:
    """The fewest seeds with which a family of `n_comparisons` can decide anything.

    The least n at which the clearest possible difference has an adjusted p below 0.05: for five comparisons 5
    seeds (paired 8), for fifteen 6 (paired 10).
    """
    n = 1
    while n_comparisons * least_p(n, n, paired=paired) >= ALPHA:
        n += 1
    return n
