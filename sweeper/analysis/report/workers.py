"""The workers of a sweep: what of their paid time was training, and what each did and is at."""

import pandas as pd

from sweeper.analysis import figures, shown
from sweeper.analysis.crew import crew
from sweeper.analysis.ledger import Paid, paid
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Text, section, table
from sweeper.analysis.sentences import counted

TITLE = "Workers"

MOST_ROWS = 100
"""Of more workers the table shows the first ones."""


def workers(attempts: pd.DataFrame, *, now: pd.Timestamp | None = None) -> Section:
    """The utilization, the timeline and a table of the workers.

    `now` (UTC) is given while the sweep is running: attempts under way count up to it. Without it they count
    in no seconds and are not drawn.
    """
    members, spent = crew(attempts, now), paid(attempts, now)
    if not spent.workers and members.empty:
        why = "no attempt has begun." if attempts.empty else "the attempts tell no times and no workers."
        return section("workers", TITLE, Missing(f"No workers: {why}"))
    n_open = int(members["doing"].notna().sum())
    text = [utilization(spent)] if spent.workers else ["No attempt has ended."]
    if now is not None and n_open:
        text.append(
            f"{counted(n_open, 'worker')} at work: what is under way counts up to now, with the seconds that "
            "it has recorded."
        )
    return section(
        "workers",
        TITLE,
        Text(tuple(text)),
        Drawing("workers-timeline", figures.timeline(attempts, now)) if spent.workers else None,
        _table(members),
        _left_out(len(members)),
    )


def utilization(spent: Paid) -> str:
    """The share of paid worker time that was training, in a sentence."""
    return (
        f"{counted(spent.workers, 'worker')}, {shown.duration(spent.wall_s)}: "
        f"{shown.share(spent.share)} of {shown.duration(spent.paid_s)} of paid worker time was training, "
        f"{shown.duration(spent.eval_s)} evaluation."
    )


def _table(members: pd.DataFrame) -> Block:
    rows = [
        (
            str(row["worker"]),
            *(shown.NOTHING if pd.isna(row[name]) else str(row[name]) for name in ("node", "device")),
            *(shown.count(row[name]) for name in ("attempts", "lost")),
            *(shown.duration(row[name]) for name in ("paid_s", "train_s", "eval_s")),
            shown.share(row["share"]),
            row["doing"] or "nothing",
        )
        for _, row in members.head(MOST_ROWS).iterrows()
    ]
    headings = (
        *("worker", "node", "device", "attempts", "lost", "paid"),
        *("training", "evaluation", "share in training", "at work on"),
    )
    return table("Each worker, in the order of their first attempts", headings, rows, words=(0, 1, 2, 9))


def _left_out(n: int) -> Block | None:
    if n <= MOST_ROWS:
        return None
    return Text((f"The first {MOST_ROWS} of {n:,} workers; {n - MOST_ROWS:,} more are not shown.",))
