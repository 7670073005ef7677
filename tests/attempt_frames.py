"""Frames of made-up attempts, for the tests of what is said about workers and trials."""

import pandas as pd

from sweeper.analysis import frames

START = pd.Timestamp("2026-03-01 12:00", tz="UTC")


def at(seconds: float) -> pd.Timestamp:
    return START + pd.Timedelta(seconds=seconds)


def attempt(
    worker: str | None, number: int, begun: float | None, ended: float | None, **more: object
) -> dict[str, object]:
    """An attempt at `adam`'s search trial `number` with 2 s of training and 1 s of evaluation."""
    return {
        "optimizer": "adam",
        "phase": "search",
        "number": number,
        "attempt": 1,
        "worker": worker,
        "node": "n1",
        "device": "cpu",
        "started_at": pd.NaT if begun is None else at(begun),
        "ended_at": pd.NaT if ended is None else at(ended),
        "why": "complete" if ended is not None else None,
        "strike": False,
        "train_s": 2.0,
        "eval_s": 1.0,
        **more,
    }


def attempts(*rows: dict[str, object]) -> pd.DataFrame:
    types = {name: dtype for name, dtype in frames.ATTEMPTS.items() if name in rows[0]}
    made = pd.DataFrame(list(rows))
    times = {name: pd.to_datetime(made[name], utc=True) for name in ("started_at", "ended_at")}
    return made.assign(**times).astype(types)


RUNNING = attempts(
    attempt("1/1", 1, 2, 7),
    attempt("1/0", 0, 0, 5),
    attempt("1/0", 2, 6, 8, why="its process died", strike=True),
    attempt("1/1", 3, 7, None, phase="final", train_s=4.0),
)
"""Worker 1/0 made an attempt and lost one; 1/1 made one and is at another."""
