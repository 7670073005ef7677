"""The finals of each optimizer: which setting represents it, and what its fresh seeds came to on test images.

With several settings per optimizer the one with the best mean objective over its finals represents it: the
objective is of validation data (or of training data), so the test images choose nothing. With repeated
searches each has its own representative, and the optimizer's scores are those of all of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy

from sweeper import scoring
from sweeper.analysis import scores
from sweeper.analysis.resampling import CONFIDENCE
from sweeper.records import Origin, Phase, TrialState

UNTUNED = 0
"""The number of the search trial that has the untuned setting."""


def finals_scores(
    trials: pd.DataFrame,
    *,
    objective: str = "val_loss",
    loss: str = "cross_entropy",
    n_classes: int | None = 10,
    repeats: int = 1,
    optimizers: Sequence[str] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """For each of `optimizers` that has finals the scores of its representatives on test images, by seed.

    A score is the objective's test counterpart, never worse than chance level, which diverged finals have.
    None: all optimizers of the frame, in its order. The seeds are the same for all, so that pairs match where
    every final came to an end.
    """
    final = scored(trials, objective, loss, n_classes)
    names = pd.unique(final["optimizer"]) if optimizers is None else optimizers
    found = {str(name): representing(final[final["optimizer"] == name], objective, repeats) for name in names}
    return {name: mine.sort_values("seed")["test"].to_numpy() for name, mine in found.items() if len(mine)}


def scored(trials: pd.DataFrame, objective: str, loss: str, n_classes: int | None) -> pd.DataFrame:
    """The finals that statistics count and that have ended, with their scores.

    `score` is the objective's, which chooses; `test` is that of its test counterpart, which is judged;
    `accuracy` is the test accuracy, 1/C for dead runs.
    """
    final = trials[(trials["phase"] == Phase.FINAL) & (trials["origin"] == Origin.FINAL)]
    final = final[scores.exist(final)]
    return final.assign(
        score=scores.of(final, objective, loss, n_classes),
        test=scores.of(final, scores.counterpart(objective), loss, n_classes),
        accuracy=scores.of(final, "test_accuracy", loss, n_classes),
    )


def representing(final: pd.DataFrame, objective: str, repeats: int) -> pd.DataFrame:
    """Of one optimizer's scored finals those of its representative settings, one per repeat of the search."""
    tuned = final[final["setting"] != UNTUNED]
    chosen = [
        representative(tuned[tuned["setting"] % repeats == repeat], objective) for repeat in range(repeats)
    ]
    return tuned[tuned["setting"].isin([setting for setting in chosen if setting is not None])]


def representative(final: pd.DataFrame, objective: str) -> int | None:
    """The setting with the best mean objective over its finals, of equal ones the lowest; None without."""
    if final.empty:
        return None
    means = final.groupby("setting")["score"].mean()
    order = scoring.best_first(
        means.tolist(),
        [False] * len(means),
        means.index.tolist(),
        higher_is_better=scoring.higher_is_better(objective),
    )
    return int(means.index[order[0]])


def columns(final: pd.DataFrame, objective: str, repeats: int) -> dict[str, Any]:
    """The summary's columns on one optimizer's scored finals: tuned, and untuned."""
    tuned = representing(final, objective, repeats)
    untuned = final[final["setting"] == UNTUNED]
    settings = tuned["setting"].unique()
    return {
        **_moments("final", tuned["test"]),
        **_student("final", tuned["test"]),
        "final_median": float(tuned["test"].median()),
        "final_n": len(tuned),
        "final_diverged": int((tuned["state"] == TrialState.DIVERGED).sum()),
        **_moments("final_accuracy", tuned["accuracy"], mean=""),
        "final_number": int(settings[0]) if len(settings) == 1 and repeats == 1 else np.nan,
        **_moments("untuned_final", untuned["test"]),
        "untuned_final_accuracy": float(untuned["accuracy"].mean()),
        "untuned_final_n": len(untuned),
    }


def _moments(name: str, values: "pd.Series[float]", *, mean: str = "_mean") -> dict[str, float]:
    return {f"{name}{mean}": float(values.mean()), f"{name}_sd": float(values.std(ddof=1))}


def _student(name: str, values: "pd.Series[float]") -> dict[str, float]:
    """Student's t interval of the mean."""
    n, mean = len(values), float(values.mean())
    quantile = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) if n > 1 else np.nan
    half = quantile * float(values.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
    return {f"{name}_low": mean - half, f"{name}_high": mean + half}
