"""What is resampled from the independent scores, which is the costliest part of a report."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweeper import analysis
from sweeper.analysis.searching import Independent

BUDGETS = 24
"""The win probability is worked out at so many budgets at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """The expected best of each optimizer, and who wins: a column `k` and one per optimizer.

    Made of `scores`, and the same for the same ones.
    """

    scores: Mapping[str, npt.NDArray[np.float64]]
    expected: Mapping[str, pd.DataFrame]
    wins: pd.DataFrame

    def is_of(self, independent: Independent) -> bool:
        """Whether these scores would give the same."""
        ours, theirs = self.scores, independent.scores
        return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def resampled(independent: Independent, higher_is_better: bool) -> Resampled:
    """Expected best and win probability of these scores."""
    expected = {
        name: analysis.expected_best(values, higher_is_better=higher_is_better)
        for name, values in independent.scores.items()
    }
    return Resampled(independent.scores, expected, _wins(independent, higher_is_better))


def _wins(independent: Independent, higher: bool) -> pd.DataFrame:
    names = list(independent.scores)
    if len(names) < 2:
        return pd.DataFrame(columns=["k", *names])
    most = min(len(values) for values in independent.scores.values())
    budgets = np.unique(np.geomspace(1, most, BUDGETS).round().astype(int))
    rows = [
        {"k": int(k), **analysis.win_probability(independent.scores, int(k), higher_is_better=higher)}
        for k in budgets
    ]
    return pd.DataFrame(rows, columns=["k", *names])
