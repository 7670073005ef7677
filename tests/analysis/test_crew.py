"""The workers of two made-up sweeps, worked out by hand: paid, trained, lost, and what each is at."""

import math

import pytest
from attempt_frames import RUNNING, at, attempt, attempts

from sweeper import analysis
from sweeper.analysis.ledger import paid


def test_workers_come_in_the_order_of_their_first_attempts() -> None:
    assert list(analysis.crew(RUNNING)["worker"]) == ["1/0", "1/1"]


def test_what_is_under_way_counts_up_to_now_with_what_it_has_recorded() -> None:
    """1/1 is paid from second 2 to now, which is 22, and has trained 2 s and 4 s."""
    row = analysis.crew(RUNNING, at(22)).iloc[1]
    assert (row["paid_s"], row["train_s"], row["eval_s"]) == (20.0, 6.0, 2.0)
    assert row["share"] == pytest.approx(0.3)


def test_without_now_what_is_under_way_counts_in_no_seconds() -> None:
    row = analysis.crew(RUNNING).iloc[1]
    assert (row["attempts"], row["paid_s"], row["train_s"], row["eval_s"]) == (2, 5.0, 2.0, 1.0)


def test_attempts_without_their_trials_end_are_lost() -> None:
    found = analysis.crew(RUNNING, at(22))
    assert list(found["attempts"]) == [2, 2]
    assert list(found["lost"]) == [1, 0]


def test_a_worker_is_at_the_trial_of_its_open_attempt() -> None:
    assert list(analysis.crew(RUNNING, at(22))["doing"]) == [None, "adam/final/3"]


def test_the_workers_sums_are_the_paid_time() -> None:
    for now in (None, at(22)):
        found, whole = analysis.crew(RUNNING, now), paid(RUNNING, now)
        sums = found[["paid_s", "train_s", "eval_s"]].sum()
        assert tuple(sums) == (whole.paid_s, whole.train_s, whole.eval_s)
        assert len(found) == whole.workers


def test_the_paid_time_of_a_running_sweep_ends_now() -> None:
    """1/0 from 0 to 8, 1/1 from 2 to 22: 28 s, of which 10 s were training."""
    found = paid(RUNNING, at(22))
    assert (found.wall_s, found.paid_s, found.train_s) == (22.0, 28.0, 10.0)
    assert found.share == pytest.approx(10 / 28)


def test_a_clock_that_is_behind_makes_no_time_negative() -> None:
    row = analysis.crew(attempts(attempt("1/0", 0, 10, None, train_s=0.0)), at(4)).iloc[0]
    assert row["paid_s"] == 0.0
    assert math.isnan(row["share"])


def test_a_worker_that_has_just_begun_is_there_without_now_too() -> None:
    row = analysis.crew(attempts(attempt("1/0", 0, 0, None))).iloc[0]
    assert (row["attempts"], row["paid_s"], row["doing"]) == (1, 0.0, "adam/0")


def test_imported_attempts_have_no_workers() -> None:
    assert analysis.crew(attempts(attempt(None, 0, None, None))).empty


def test_now_may_be_a_plain_time() -> None:
    assert analysis.crew(RUNNING, at(22).to_pydatetime()).equals(analysis.crew(RUNNING, at(22)))
