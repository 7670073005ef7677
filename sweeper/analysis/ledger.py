"""What a sweep cost: per optimizer, and of the workers' time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweeper.records import TrialState

COLUMNS = [
    *("optimizer", "trials", "epochs", "steps", "samples", "grad_evals"),
    *("train_s", "eval_s", "setup_s", "waiting_s", "attempts", "lost_attempts", "lost_epochs", "lost_s"),
]

KEY = ["optimizer", "phase", "number"]
SPENT = ["epochs", "steps", "samples", "grad_evals", "train_s", "eval_s"]


@dataclass(frozen=True, slots=True)
class Paid:
    """The time of `workers` workers, each paid from its first attempt to its last one's end.

    `share` is what of it was training; NaN where no times are known.
    """

    workers: int
    wall_s: float
    paid_s: float
    train_s: float
    eval_s: float
    share: float


def cost_ledger(trials: pd.DataFrame, attempts: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """What each optimizer's trials cost, search and finals, lost attempts included; a row per optimizer.

    `epochs`, `steps`, `samples`, `grad_evals` and seconds are of all attempts. `waiting_s` is what attempts
    took beyond training, evaluation and setting up. `lost_attempts` ended without their trial's end
    (`is_lost`). `lost_epochs` and `lost_s` are what all attempts trained less the rows of `epochs` that
    count, in training and evaluation: what was trained for nothing. What a later attempt went on from is not
    lost. Where attempts tell no epochs (imported results), the trials' own numbers are taken.
    """
    spent, kept = _spent(trials, attempts), _kept(trials, epochs)
    rows = []
    for name in pd.unique(trials["optimizer"]):
        mine = spent[spent["optimizer"] == name]
        own = trials[trials["optimizer"] == name]
        rows.append(
            (
                name,
                len(own),
                *(_total(own, mine, column) for column in SPENT),
                float(own["setup_s"].sum()),
                float(mine["waiting_s"].sum()),
                len(mine),
                int(mine["is_lost"].sum()),
                *_lost(mine, kept[kept["optimizer"] == name]),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def is_lost(attempts: pd.DataFrame) -> "pd.Series[bool]":
    """Which attempts ended without their trial's end: lost, interrupted or failed ones."""
    ends = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED]
    return attempts["ended_at"].notna() & ~attempts["why"].isin(ends)


def _total(trials: pd.DataFrame, attempts: pd.DataFrame, column: str) -> float:
    """What all attempts spent; imported trials may tell more than their attempts do."""
    told = float(trials[column].sum()) if column in trials.columns else 0.0
    return max(told, float(attempts[column].sum()))


def _kept(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The epochs that count: not those of trials that failed."""
    failed = trials.loc[trials["state"] == TrialState.FAILED, KEY].assign(has_failed=True)
    known = epochs[[*KEY, "train_s", "eval_s"]].merge(failed, on=KEY, how="left")
    return known[known["has_failed"].isna()]


def _lost(attempts: pd.DataFrame, kept: pd.DataFrame) -> tuple[int, float]:
    """How many epochs were trained for nothing, and for how many seconds."""
    seconds = _seconds(attempts) - _seconds(kept)
    n_epochs = max(int(attempts["epochs"].sum()) - len(kept), 0)
    return n_epochs, max(seconds, 0.0) if n_epochs else 0.0


def _seconds(rows: pd.DataFrame) -> float:
    return float((rows["train_s"] + rows["eval_s"]).sum())


def _spent(trials: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    known = attempts.merge(trials[[*KEY, "attempt", "setup_s"]].rename(columns={"attempt": "latest"}), on=KEY)
    seconds = (known["ended_at"] - known["started_at"]).dt.total_seconds()
    is_latest = known["attempt"] == known["latest"]
    setup = known["setup_s"].where(is_latest, 0.0).fillna(0.0)
    busy = known["train_s"].fillna(0.0) + known["eval_s"].fillna(0.0) + setup
    return known.assign(
        is_lost=is_lost(known),
        waiting_s=(seconds - busy).clip(lower=0.0),
    )


def timed(attempts: pd.DataFrame, now: pd.Timestamp | None = None) -> pd.DataFrame:
    """The attempts whose times are known, with `is_lost` and `is_open`.

    Those under way end at `now` (UTC), which is no sooner than they began; without it they are left out.
    """
    started, ended = attempts["started_at"], attempts["ended_at"]
    is_open = started.notna() & ended.isna()
    if now is not None:
        ended = ended.where(~is_open, started.where(started > now, now))
    known = attempts.assign(ended_at=ended, is_lost=is_lost(attempts), is_open=is_open)
    return known.dropna(subset=["started_at", "ended_at"])


def paid(attempts: pd.DataFrame, now: pd.Timestamp | None = None) -> Paid:
    """The workers' paid time, and what of it was training.

    While a sweep is running, `now` (UTC) is when its attempts under way are counted up to, with the seconds
    that they have recorded; without it nothing of them is counted.
    """
    known = timed(attempts, now)
    if known.empty:
        return Paid(0, np.nan, np.nan, np.nan, np.nan, np.nan)
    by_worker = known.groupby("worker").agg(first=("started_at", "min"), last=("ended_at", "max"))
    paid_s = float((by_worker["last"] - by_worker["first"]).dt.total_seconds().sum())
    train_s, eval_s = float(known["train_s"].sum()), float(known["eval_s"].sum())
    return Paid(
        workers=len(by_worker),
        wall_s=float((known["ended_at"].max() - known["started_at"].min()).total_seconds()),
        paid_s=paid_s,
        train_s=train_s,
        eval_s=eval_s,
        share=train_s / paid_s if paid_s else np.nan,
    )
