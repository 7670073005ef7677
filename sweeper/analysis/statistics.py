"""The statistics of a comparison: pure functions from frames to frames.

Scores are the objective after the last epoch, capped at chance level (`scoring.scores`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from sweeper import scoring
from sweeper.records import Origin, Phase, TrialState

CONFIDENCE = 0.95

COLUMNS = (
    *("optimizer", "planned", "complete", "pruned", "diverged", "failed", "scored"),
    *("best", "best_number", "best_accuracy", "median", "iqr", "untuned", "dead"),
    *("final_mean", "final_sd", "final_low", "final_high", "final_n", "final_diverged", "samples", "seconds"),
)
"""The columns of `summary`; the best setting's `params.NAME` follow."""


def summary(
    trials: pd.DataFrame,
    epochs: pd.DataFrame | None = None,
    *,
    objective: str = "val_loss",
    loss: str = "cross_entropy",
    n_classes: int = 10,
    val_size: int = 5_000,
    optimizers: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row for each of `optimizers`; None: for each in the frame `trials`, in its order.

    Trials of the search by state (`planned` in all); of those that were proposed and have a score
    (`scored` of them): the `best` score with its trial's number, accuracy and setting (`params.NAME`), the
    `median`, the interquartile range `iqr`, and the share of `dead` ones (diverged, or a validation
    accuracy below 1/C + 3 standard errors on `val_size` images). `untuned` is trial 0's score, which no
    other column counts. `final_mean`, `final_sd` and Student's 95 % interval `final_low`..`final_high` are
    of the objective's test counterpart over `final_n` fresh seeds at the best setting, `final_diverged` of
    which diverged. What does not exist is NaN. `samples` is what the costliest trial spent, `seconds` the
    time in training and evaluation.
    """
    search = trials[trials["phase"] == Phase.SEARCH].copy()
    final = trials[(trials["phase"] == Phase.FINAL) & (trials["origin"] == Origin.FINAL)].copy()
    search["score"] = _scores(search, objective, loss, n_classes)
    counterpart = objective.replace("val_", "test_").replace("train_", "test_")
    final["score"] = _scores(final, counterpart, loss, n_classes)
    dead_below = scoring.dead_accuracy(n_classes, val_size)
    higher = scoring.higher_is_better(objective)
    rows = []
    for optimizer in pd.unique(trials["optimizer"]) if optimizers is None else optimizers:
        mine = search[search["optimizer"] == optimizer]
        finals = final[(final["optimizer"] == optimizer) & (final["setting"] != 0)]
        rows.append(
            {
                "optimizer": optimizer,
                **_states(mine),
                **_search(mine, higher, dead_below),
                **_finals(finals),
                "samples": int(mine["samples"].max()) if len(mine) else 0,
                "seconds": float((mine["train_s"] + mine["eval_s"]).sum()),
                **_best_setting(mine, higher),
            }
        )
    names = [*COLUMNS, *(name for name in trials.columns if name.startswith("params."))]
    return pd.DataFrame(rows, columns=names)


def _scores(trials: pd.DataFrame, objective: str, loss: str, n_classes: int) -> npt.NDArray[np.float64]:
    """Every trial's score; a diverged one knows nothing, whatever its last epoch was lucky to hit."""
    values = trials[objective].to_numpy(dtype=np.float64)
    values = np.where(trials["state"] == TrialState.DIVERGED, np.nan, values)
    return scoring.scores(values, objective, loss, n_classes)


def behind_untuned(summary: pd.DataFrame, *, objective: str = "val_loss") -> list[str]:
    """The optimizers whose best in `summary` scores worse than torch's defaults: searched too little."""
    worse = summary["best"] < summary["untuned"]
    if not scoring.higher_is_better(objective):
        worse = summary["best"] > summary["untuned"]
    return list(summary.loc[worse, "optimizer"])


def _states(search: pd.DataFrame) -> dict[str, int]:
    finished = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)
    counts = {str(state): int((search["state"] == state).sum()) for state in finished}
    return {"planned": len(search), **counts}


def _scored(search: pd.DataFrame) -> pd.DataFrame:
    """The trials that the search's statistics count: proposed ones that were trained to their end."""
    has_score = search["state"].isin([state for state in TrialState if state.has_score])
    return search[has_score & (search["origin"] != Origin.DEFAULT)]


def _best(search: pd.DataFrame, higher: bool) -> pd.Series | None:
    """The best scored trial; of equal ones, that with the lowest number."""
    scored = _scored(search)
    if scored.empty:
        return None
    diverged = scored["state"] == TrialState.DIVERGED  # comes last among equals
    ranked = scored.assign(diverged=diverged).sort_values(
        ["score", "diverged", "number"], ascending=[not higher, True, True]
    )
    return ranked.iloc[0]


def _search(search: pd.DataFrame, higher: bool, dead_below: float) -> dict[str, Any]:
    scored = _scored(search)
    best = _best(search, higher)
    untuned = search[(search["origin"] == Origin.DEFAULT)]
    untuned = untuned[untuned["state"].isin([state for state in TrialState if state.has_score])]
    dead = (scored["state"] == TrialState.DIVERGED) | (scored["val_accuracy"] < dead_below)
    return {
        "scored": len(scored),
        "best": np.nan if best is None else float(best["score"]),
        "best_number": np.nan if best is None else int(best["number"]),
        "best_accuracy": np.nan if best is None else float(best["val_accuracy"]),
        "median": float(scored["score"].median()),
        "iqr": float(scored["score"].quantile(0.75) - scored["score"].quantile(0.25)),
        "untuned": float(untuned["score"].iloc[0]) if len(untuned) else np.nan,
        "dead": float(dead.mean()) if len(scored) else np.nan,
    }


def _best_setting(search: pd.DataFrame, higher: bool) -> dict[str, Any]:
    names = [name for name in search.columns if name.startswith("params.")]
    best = _best(search, higher)
    return dict.fromkeys(names, np.nan) if best is None else {name: best[name] for name in names}


def _finals(finals: pd.DataFrame) -> dict[str, Any]:
    """Mean, standard deviation and Student's t interval of the finals' scores."""
    scores = finals.loc[finals["state"].isin([s for s in TrialState if s.has_score]), "score"].to_numpy()
    n = len(scores)
    mean = float(np.mean(scores)) if n else np.nan
    sd = float(np.std(scores, ddof=1)) if n > 1 else np.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / np.sqrt(n) if n > 1 else np.nan
    return {
        "final_mean": mean,
        "final_sd": sd,
        "final_low": mean - half,
        "final_high": mean + half,
        "final_n": n,
        "final_diverged": int((finals["state"] == TrialState.DIVERGED).sum()),
    }
