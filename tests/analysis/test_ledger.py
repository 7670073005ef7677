"""The cost ledger, worked out by hand, lost attempts included."""

import math

import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis.ledger import paid

START = pd.Timestamp("2026-03-01 12:00", tz="UTC")


def at(seconds: float) -> pd.Timestamp:
    return START + pd.Timedelta(seconds=seconds)


def attempt(
    number: int, attempt: int, begun: float, ended: float, epochs: int, **more: object
) -> dict[str, object]:
    """An attempt whose epochs take 2 s of training and 0.5 s of evaluation, in 10 steps on 100 samples."""
    return {
        "optimizer": "sgd",
        "phase": "search",
        "number": number,
        "attempt": attempt,
        "worker": "1/0",
        "started_at": at(begun),
        "ended_at": at(ended),
        "why": "complete",
        "epochs": epochs,
        "samples": 100 * epochs,
        "steps": 10 * epochs,
        "grad_evals": 10 * epochs,
        "train_s": 2.0 * epochs,
        "eval_s": 0.5 * epochs,
        **more,
    }


TRIALS = pd.DataFrame(
    {
        "optimizer": "sgd",
        "phase": "search",
        "number": [0, 1],
        "attempt": [1, 2],
        "state": ["complete", "complete"],
        "epochs": 4,
        "samples": 400,
        "grad_evals": 40,
        "train_s": 8.0,
        "eval_s": 2.0,
        "setup_s": 1.0,
    }
)
ATTEMPTS = pd.DataFrame(
    [
        attempt(0, 1, 0, 13, 4),
        attempt(1, 1, 13, 19, 2, why="its process died"),
        attempt(1, 2, 20, 31, 4, worker="1/1"),
    ]
)


def rows(*epochs: int) -> pd.DataFrame:
    """The rows that count of trials 0 and 1: so many epochs of each."""
    numbers = [number for number, n in enumerate(epochs) for _ in range(n)]
    return pd.DataFrame(
        {"optimizer": "sgd", "phase": "search", "number": numbers, "train_s": 2.0, "eval_s": 0.5}
    )


EPOCHS = rows(4, 4)


def test_lost_attempts_are_paid_too() -> None:
    [row] = analysis.cost_ledger(TRIALS, ATTEMPTS, EPOCHS).to_dict("records")
    assert (row["trials"], row["attempts"], row["lost_attempts"], row["lost_epochs"]) == (2, 3, 1, 2)
    assert (row["epochs"], row["steps"], row["samples"], row["grad_evals"]) == (10, 100, 1000, 100)
    assert (row["train_s"], row["eval_s"], row["setup_s"], row["lost_s"]) == (20.0, 5.0, 2.0, 5.0)


def test_what_a_later_attempt_went_on_from_is_not_lost() -> None:
    """The first attempt at trial 1 saved its first epoch, and lost its second; the second trained 2 to 4."""
    saved = ATTEMPTS.assign(epochs=[4, 2, 3], train_s=[8.0, 4.0, 6.0], eval_s=[2.0, 1.0, 1.5])
    [row] = analysis.cost_ledger(TRIALS, saved, EPOCHS).to_dict("records")
    assert (row["lost_attempts"], row["lost_epochs"], row["lost_s"]) == (1, 1, 2.5)


def test_waiting_is_what_is_left_of_an_attempt() -> None:
    """13 - 8 - 2 - 1, then 6 - 4 - 1 (it never told its set-up), then 11 - 8 - 2 - 1."""
    assert analysis.cost_ledger(TRIALS, ATTEMPTS, EPOCHS)["waiting_s"].item() == pytest.approx(2 + 1 + 0)


def test_a_failed_trials_last_attempt_is_lost() -> None:
    failed = TRIALS.assign(state=["complete", "failed"])
    why = ["complete", "its process died", "ValueError: no"]
    [row] = analysis.cost_ledger(failed, ATTEMPTS.assign(why=why), EPOCHS).to_dict("records")
    assert (row["lost_attempts"], row["lost_epochs"], row["lost_s"]) == (2, 6, 15.0)


def test_an_attempt_that_is_under_way_is_not_lost() -> None:
    running = ATTEMPTS.assign(ended_at=[at(13), at(19), pd.NaT])
    running.loc[2, "epochs"] = 3
    found = analysis.cost_ledger(TRIALS, running, rows(4, 3))
    assert found["lost_attempts"].item() == 1
    assert (found["epochs"].item(), found["lost_epochs"].item()) == (9, 2)


def test_workers_are_paid_from_their_first_attempt_to_their_last() -> None:
    """1/0 from 0 to 19, 1/1 from 20 to 31: 30 s, of which 20 were training."""
    found = paid(ATTEMPTS)
    assert (found.workers, found.wall_s, found.paid_s, found.train_s, found.eval_s) == (
        2,
        31.0,
        30.0,
        20.0,
        5.0,
    )
    assert found.share == pytest.approx(20 / 30)


def test_without_times_nobody_knows() -> None:
    unknown = ATTEMPTS.assign(started_at=pd.NaT, ended_at=pd.NaT)
    assert math.isnan(paid(unknown).share)


def test_imported_trials_tell_what_their_attempts_do_not() -> None:
    silent = ATTEMPTS.assign(epochs=0, samples=0, steps=0, grad_evals=0, train_s=0.0, eval_s=0.0)
    [row] = analysis.cost_ledger(TRIALS, silent, EPOCHS).to_dict("records")
    assert (row["epochs"], row["samples"], row["train_s"]) == (8, 800, 16.0)
    assert (row["lost_epochs"], row["lost_s"]) == (0, 0.0)
