"""The workers: what each was paid for, what it made of it, and what it is at."""

import pandas as pd

from sweeper.analysis.ledger import is_lost, timed
from sweeper.records import Phase, TrialKey

COLUMNS = [
    *("worker", "node", "device", "attempts", "lost", "paid_s", "train_s", "eval_s", "share", "doing"),
]


def crew(attempts: pd.DataFrame, now: pd.Timestamp | None = None) -> pd.DataFrame:
    """A row per worker, in the order of their first attempts; their sums are those of `ledger.paid`.

    Frame `worker, node, device, attempts, lost, paid_s, train_s, eval_s, share, doing`: how many `attempts`
    it made, how many of them were `lost` (`ledger.is_lost`); `paid_s` from its first attempt's start to its
    last one's end, what of that was training and evaluation, and `share`, that of training (NaN of no time).
    `doing` is the key of the trial that it is at, None where it is at none. An attempt under way lasts until
    `now` (UTC) and has the seconds that it has recorded; without `now` it counts in no seconds. Attempts
    without a worker or without times, as those of imported results, are left out.
    """
    begun = attempts.dropna(subset=["worker", "started_at"]).sort_values("started_at", kind="stable")
    if begun.empty:
        return pd.DataFrame(columns=COLUMNS)
    by_worker = begun.assign(is_lost=is_lost(begun)).groupby("worker", sort=False)
    found = by_worker.agg(
        node=("node", "first"),
        device=("device", "first"),
        attempts=("attempt", "size"),
        lost=("is_lost", "sum"),
    )
    timed_of = timed(begun, now).groupby("worker", sort=False)
    paid_s = (timed_of["ended_at"].max() - timed_of["started_at"].min()).dt.total_seconds()
    spent = {"paid_s": paid_s, **{name: timed_of[name].sum() for name in ("train_s", "eval_s")}}
    found = found.assign(**{name: values.reindex(found.index).fillna(0.0) for name, values in spent.items()})
    found["share"] = found["train_s"] / found["paid_s"].where(found["paid_s"] > 0)
    doing = _doing(begun)
    found["doing"] = pd.Series([doing.get(worker) for worker in found.index], found.index, dtype="object")
    return found.reset_index()[COLUMNS]


def _doing(begun: pd.DataFrame) -> dict[object, str]:
    """The key of the trial that a worker is at, by worker: of its latest attempt without an end."""
    is_open = begun[begun["ended_at"].isna()]
    return {
        row["worker"]: str(TrialKey(row["optimizer"], Phase(row["phase"]), int(row["number"])))
        for _, row in is_open.iterrows()
    }
