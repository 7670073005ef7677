"""How sensitive an optimizer is to its learning rate."""

import numpy as np
import pandas as pd

from sweeper import scoring
from sweeper.analysis import scores
from sweeper.records import TrialState

ENOUGH = 12
"""So many scored trials make a width."""

POINTS, SHARE = 0.02, 0.05
"""Within these of the best (of an accuracy; of a loss, as a share) a score is as good."""


def lr_column(trials: pd.DataFrame) -> "pd.Series[float]":
    """The learning rate of each row; the effective one, lr / (1 - rho), for momentum and nesterov."""
    lr = _params(trials, "lr")
    rho = _params(trials, "momentum")
    has_rho = trials["optimizer"].isin(["momentum", "nesterov"]) & rho.notna() & (rho < 1)
    return lr.where(~has_rho, lr / (1 - rho))


def _params(trials: pd.DataFrame, name: str) -> "pd.Series[float]":
    column = f"params.{name}"
    if column not in trials.columns:
        return pd.Series(np.nan, index=trials.index)
    return pd.to_numeric(trials[column], errors="coerce").astype("float64")


def lr_sensitivity(
    trials: pd.DataFrame,
    *,
    objective: str = "val_loss",
    loss: str = "cross_entropy",
    n_classes: int | None = 10,
    val_size: int = 5_000,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each optimizer's width of good learning rates, and its best score per half-decade.

    The first frame has a row per optimizer: `optimizer, n, best, best_lr, width, dead`. `width` are the
    decades of the half-decades whose best lies within 2 accuracy points (5 % of a loss) of the optimizer's
    best; NaN below 12 scored trials. The second has a row per half-decade that has trials: `optimizer, low,
    high, best, n, dead`. `dead` is the share of settings that are no better than chance.
    """
    search = scores.proposed(scores.of_search(trials, objective, loss, n_classes))
    dead_below = scoring.dead_accuracy(n_classes, val_size)
    is_dead = (search["state"] == TrialState.DIVERGED) | (search["val_accuracy"] < dead_below)
    known = search.assign(lr=lr_column(search), is_dead=is_dead)
    known = known[known["lr"] > 0]
    known = known.assign(half=np.floor(2 * np.log10(known["lr"]) + 1e-9).astype(int))
    higher = scoring.higher_is_better(objective)
    found = known.groupby(["optimizer", "half"], sort=False).agg(
        best=("score", "max" if higher else "min"), n=("score", "size"), dead=("is_dead", "mean")
    )
    by_half = found.reset_index().assign(
        low=lambda frame: 10 ** (frame["half"] / 2), high=lambda frame: 10 ** ((frame["half"] + 1) / 2)
    )
    order = {name: place for place, name in enumerate(pd.unique(trials["optimizer"]))}
    by_half = by_half.sort_values(
        ["optimizer", "low"], key=lambda column: column.map(order) if column.name == "optimizer" else column
    )[["optimizer", "low", "high", "best", "n", "dead"]]
    rows = []
    for name, mine in known.groupby("optimizer", sort=False):
        first = scores.best_first(mine, objective).iloc[0]
        own = by_half[by_half["optimizer"] == name]
        width = _width(own, float(first["score"]), higher) if len(mine) >= ENOUGH else np.nan
        rows.append((name, len(mine), first["score"], first["lr"], width, mine["is_dead"].mean()))
    columns = ["optimizer", "n", "best", "best_lr", "width", "dead"]
    return pd.DataFrame(rows, columns=columns), by_half.reset_index(drop=True)


def _width(bins: pd.DataFrame, best: float, higher: bool) -> float:
    good = bins["best"] >= best - POINTS if higher else bins["best"] <= best * (1 + SHARE)
    return 0.5 * int(good.sum())
