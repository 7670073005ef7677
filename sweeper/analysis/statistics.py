"""The statistics of a comparison: pure functions from frames to frames.

Scores are the objective after the last epoch, capped at chance level (`scoring.scores`).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeper import scoring
from sweeper.analysis import finals, scores, targets
from sweeper.experiment import Experiment
from sweeper.records import Origin, TrialState

COLUMNS = (
    *("optimizer", "planned", "complete", "pruned", "diverged", "failed", "scored"),
    *("best", "best_number", "best_accuracy", "median", "iqr", "untuned", "dead"),
    *("final_mean", "final_sd", "final_low", "final_high", "final_median", "final_n", "final_diverged"),
    *("final_accuracy", "final_accuracy_sd", "final_number"),
    *("untuned_final_mean", "untuned_final_sd", "untuned_final_accuracy", "untuned_final_n"),
    *("target", "time_to_target", "target_hits"),
    *("samples", "seconds"),
)
"""The columns of `summary`; the best setting's `params.NAME` follow."""


def summary(
    trials: pd.DataFrame,
    epochs: pd.DataFrame | None = None,
    *,
    objective: str = "val_loss",
    loss: str = "cross_entropy",
    n_classes: int | None = 10,
    val_size: int = 5_000,
    repeats: int = 1,
    optimizers: Sequence[str] | None = None,
    target: float | None = None,
) -> pd.DataFrame:
    """A row for each of `optimizers`; None: for each in the frame `trials`, in its order.

    Trials of the search by state (`planned` in all); of those that were proposed and have a score (`scored`
    of them): the `best` score with its trial's number, accuracy and setting (`params.NAME`), the `median`,
    the interquartile range `iqr`, and the share of `dead` ones (diverged, or a validation accuracy below 1/C
    + 3 standard errors on `val_size` images). `untuned` is trial 0's score, which no other column counts.
    `final_mean`, `final_sd`, `final_median` and Student's 95 % interval of the mean,
    `final_low`..`final_high`, are of the objective's test counterpart over `final_n` fresh seeds at the
    setting that represents the optimizer, trial `final_number`'s, `final_diverged` of which diverged and
    count as chance; `final_accuracy` is their mean test accuracy. With `repeats` searches per optimizer each
    has its representative, and no one number. `untuned_final_...` is the same of trial 0's setting.
    `time_to_target` is the median epoch at which those finals reach the validation accuracy `target`,
    infinite where most don't, and `target_hits` how many do: with `epochs` only, and where no target is given
    one that is derived from these results (`targets.derived_targets`, the last). What does not exist is NaN.
    `samples` is what the costliest trial of the search spent, `seconds` the search's time in training and
    evaluation.
    """
    search = scores.of_search(trials, objective, loss, n_classes)
    final = finals.scored(trials, objective, loss, n_classes)
    dead_below = scoring.dead_accuracy(n_classes, val_size)
    times = _times(final, epochs, target, objective, n_classes, repeats)
    rows = []
    for optimizer in pd.unique(trials["optimizer"]) if optimizers is None else optimizers:
        mine = search[search["optimizer"] == optimizer]
        rows.append(
            {
                "optimizer": optimizer,
                **_states(mine),
                **_search(mine, objective, dead_below),
                **finals.columns(final[final["optimizer"] == optimizer], objective, repeats),
                **times.get(str(optimizer), {}),
                "samples": int(mine["samples"].max()) if len(mine) else 0,
                "seconds": float((mine["train_s"] + mine["eval_s"]).sum()),
                **_best_setting(mine, objective),
            }
        )
    names = [*COLUMNS, *(name for name in trials.columns if name.startswith("params."))]
    return pd.DataFrame(rows, columns=names)


def summary_of(trials: pd.DataFrame, epochs: pd.DataFrame | None, experiment: Experiment) -> pd.DataFrame:
    """The `summary` of a sweep, under the terms of its experiment and in its order."""
    return summary(
        trials,
        epochs,
        objective=experiment.objective,
        loss=experiment.loss.name,
        n_classes=experiment.n_classes,
        val_size=experiment.data.val_size,
        repeats=experiment.search.repeats,
        optimizers=[arm.name for arm in experiment.arms],
        target=max(experiment.report.targets, default=None),
    )


def behind_untuned(summary: pd.DataFrame, *, objective: str = "val_loss") -> list[str]:
    """The optimizers whose best in `summary` scores worse than torch's defaults: searched too little."""
    worse = summary["best"] < summary["untuned"]
    if not scoring.higher_is_better(objective):
        worse = summary["best"] > summary["untuned"]
    return list(summary.loc[worse, "optimizer"])


def _times(
    final: pd.DataFrame,
    epochs: pd.DataFrame | None,
    target: float | None,
    objective: str,
    n_classes: int | None,
    repeats: int,
) -> dict[str, dict[str, float]]:
    """The summary's columns on the time to target, by optimizer."""
    if epochs is None:
        return {}
    runs = targets.representing(final, objective, repeats)
    derived = targets.derived_targets(runs, epochs)
    if not derived:
        return {}
    wanted = derived[-1] if target is None else target
    found = targets.time_to_target(runs, epochs, wanted, n_classes=n_classes)
    return {
        str(row["optimizer"]): {
            "target": wanted,
            "time_to_target": row["median"],
            "target_hits": row["hits"],
        }
        for _, row in found.iterrows()
    }


def _states(search: pd.DataFrame) -> dict[str, int]:
    finished = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)
    counts = {str(state): int((search["state"] == state).sum()) for state in finished}
    return {"planned": len(search), **counts}


def _search(search: pd.DataFrame, objective: str, dead_below: float) -> dict[str, Any]:
    scored = scores.proposed(search)
    best = scores.best(search, objective)
    untuned = search[scores.exist(search) & (search["origin"] == Origin.DEFAULT)]
    dead = (scored["state"] == TrialState.DIVERGED) | (scored["val_accuracy"] < dead_below)
    return {
        "scored": len(scored),
        "best": np.nan if best is None else float(best["score"]),
        "best_number": np.nan if best is None else int(best["number"]),
        "best_accuracy": np.nan if best is None else float(best["val_accuracy"]),
        "median": float(scored["score"].median()),
        "iqr": float(scored["score"].quantile(0.75) - scored["score"].quantile(0.25)),
        "untuned": float(untuned["score"].iloc[0]) if len(untuned) else np.nan,
        "dead": float(dead.mean()) if len(scored) and not math.isnan(dead_below) else np.nan,
    }


def _best_setting(search: pd.DataFrame, objective: str) -> dict[str, Any]:
    names = [name for name in search.columns if name.startswith("params.")]
    best = scores.best(search, objective)
    return dict.fromkeys(names, np.nan) if best is None else {name: best[name] for name in names}
