"""The scores of a frame's trials, and the one order in which they are chosen."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweeper import scoring
from sweeper.records import Origin, Phase, TrialState

Floats = npt.NDArray[np.float64]


def of(trials: pd.DataFrame, objective: str, loss: str, n_classes: int | None) -> Floats:
    """Every trial's score; a diverged one knows nothing, whatever its last epoch was lucky to hit."""
    values = trials[objective].to_numpy(dtype=np.float64)
    values = np.where(trials["state"] == TrialState.DIVERGED, np.nan, values)
    return scoring.scores(values, objective, loss, n_classes)


def exist(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials have a score: those that were trained as far as they could be."""
    return trials["state"].isin([state for state in TrialState if state.has_score])


def counterpart(objective: str) -> str:
    """What the finals are judged by: the objective on test images."""
    return objective.replace("val_", "test_").replace("train_", "test_")


def of_search(trials: pd.DataFrame, objective: str, loss: str, n_classes: int | None) -> pd.DataFrame:
    """The search's trials with their `score`."""
    search = trials[trials["phase"] == Phase.SEARCH]
    return search.assign(score=of(search, objective, loss, n_classes))


def proposed(search: pd.DataFrame) -> pd.DataFrame:
    """The trials that the search's statistics count: proposed ones that were trained to their end."""
    return search[exist(search) & (search["origin"] != Origin.DEFAULT)]


def best(search: pd.DataFrame, objective: str) -> "pd.Series | None":
    """The best scored trial of one optimizer's `search` with its `score`; of equal ones the lowest number."""
    candidates = proposed(search)
    return None if candidates.empty else best_first(candidates, objective).iloc[0]


def best_first(trials: pd.DataFrame, objective: str) -> pd.DataFrame:
    """Trials with a `score`, in the order in which settings are chosen; see `scoring.best_first`."""
    order = scoring.best_first(
        trials["score"].tolist(),
        (trials["state"] == TrialState.DIVERGED).tolist(),
        trials["number"].tolist(),
        higher_is_better=scoring.higher_is_better(objective),
    )
    return trials.iloc[order]
