"""Stamps and counts, held against plain SQL on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    Phase,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
    WorkerInfo,
)
from sweeper.store import (
    AttemptEnded,
    AttemptStarted,
    Committer,
    EpochsRecorded,
    FinalsChosen,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    counts,
)
from sweeper.store.counts import Count

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")

MakeTrial = Callable[..., Trial]
MakeRecord = Callable[..., EpochRecord]


@pytest.fixture
def committer(store: Store) -> Committer:
    return store.create_sweep("s", {}, "", {}, 30)


def started(trial: Trial, attempt: int = 1) -> list[TrialPlanned | AttemptStarted]:
    return [TrialPlanned(trial, NOW), AttemptStarted(trial.key, attempt, WORKER, NOW)]


def recorded(trial: Trial, attempt: int, *records: EpochRecord) -> EpochsRecorded:
    return EpochsRecorded(
        trial.key, attempt, records, setup_s=9.0, train_s=0.5 * len(records), eval_s=0.25 * len(records)
    )


@pytest.fixture
def filled(store: Store, committer: Committer, make_trial: MakeTrial, make_record: MakeRecord) -> Store:
    """Of sgd the untuned trial, three that ended, and finals; of adam one that runs, and one queued."""
    untuned = replace(make_trial("sgd", 0), origin=Origin.DEFAULT)
    good, bad, lost = (make_trial("sgd", number) for number in (1, 2, 3))
    runs, queued = make_trial("adam", 0), make_trial("adam", 1)
    finals = [
        replace(make_trial("sgd"), key=TrialKey("sgd", Phase.FINAL, k), origin=Origin.FINAL, setting=1 + k)
        for k in range(2)
    ]
    complete = TrialState.COMPLETE
    writes = [
        *started(untuned),
        recorded(untuned, 1, make_record(1, val_loss=0.5, val_accuracy=0.9)),
        TrialFinished(untuned.key, 1, complete, NOW),
        *started(good),
        recorded(good, 1, make_record(1), make_record(2, val_loss=1.25, val_accuracy=0.5)),
        TrialFinished(good.key, 1, complete, NOW),
        *started(bad),
        recorded(bad, 1, make_record(1, val_loss=1.75, val_accuracy=0.25)),
        TrialFinished(bad.key, 1, complete, NOW),
        *started(lost),
        TrialFinished(lost.key, 1, TrialState.FAILED, NOW, "ValueError: no"),
        *started(runs),
        recorded(runs, 1, make_record(1), make_record(2)),
        AttemptEnded(runs.key, 1, "its process died", True, NOW),
        AttemptStarted(runs.key, 2, WORKER, NOW),
        recorded(runs, 2, make_record(1)),
        TrialPlanned(queued, NOW),
    ]
    for each in finals:
        writes += [*started(each), TrialFinished(each.key, 1, complete, NOW, test=FinalScore(1.0, 0.75))]
    committer.commit([*writes, FinalsChosen({"sgd": frozenset({1})}, NOW)])
    other = store.create_sweep("other", {}, "", {}, 30)
    other.commit([*started(make_trial("sgd", 7))])
    return store


def sql(store: Store, text: str) -> list[tuple[object, ...]]:
    with store.engine.begin() as connection:
        result = connection.execute(sa.text(text))
        return [tuple(row) for row in result] if result.returns_rows else []


def counted(store: Store, objective: str = "val_loss", name: str = "s") -> list[Count]:
    return counts.counts(store, counts.stamps(store, name)[name].sweep_id, objective)


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy", "train_loss"])
def test_counts_are_what_sql_says(filled: Store, objective: str) -> None:
    expected = sql(
        filled,
        "SELECT optimizer, phase, origin, state, COUNT(*), "
        f"MIN({objective}), MAX({objective}), SUM(epochs), SUM(COALESCE(train_s, 0) + COALESCE(eval_s, 0)) "
        "FROM trials WHERE sweep_id = (SELECT id FROM sweeps WHERE name = 's') "
        "GROUP BY optimizer, phase, origin, state ORDER BY MIN(id)",
    )
    found = [
        (c.optimizer, c.phase, c.origin, c.state, c.n, c.lowest, c.highest, c.epochs, c.seconds)
        for c in counted(filled, objective)
    ]
    assert found == expected
    assert len(found) == 7


def test_counts_tell_the_range_of_the_objective_and_what_was_spent(filled: Store) -> None:
    proposed = counted(filled)[1]
    assert proposed == Count(
        "sgd", Phase.SEARCH, Origin.PROPOSED, TrialState.COMPLETE, 2, 1.25, 1.75, epochs=3, seconds=2.25
    )
    assert (counted(filled, "val_accuracy")[1].lowest, counted(filled, "val_accuracy")[1].highest) == (
        0.25,
        0.5,
    )


def test_what_never_reported_has_no_objective_and_cost_nothing(filled: Store) -> None:
    (failed,) = [one for one in counted(filled) if one.state is TrialState.FAILED]
    assert (failed.lowest, failed.highest, failed.epochs, failed.seconds) == (None, None, 0, 0.0)


def test_of_a_trial_that_was_lost_the_latest_attempt_is_counted(filled: Store) -> None:
    (running,) = [one for one in counted(filled) if one.state is TrialState.RUNNING]
    assert (running.optimizer, running.n, running.epochs, running.seconds) == ("adam", 1, 1, 0.75)


def test_a_superseded_final_is_counted_by_itself(filled: Store) -> None:
    finals = {one.origin: one.n for one in counted(filled) if one.phase is Phase.FINAL}
    assert finals == {Origin.FINAL: 1, Origin.SUPERSEDED: 1}


def test_another_sweep_is_counted_by_itself(filled: Store) -> None:
    assert [(one.optimizer, one.n) for one in counted(filled, name="other")] == [("sgd", 1)]


def test_an_empty_sweep_counts_nothing(store: Store, committer: Committer) -> None:
    assert counted(store) == []
    assert counts.n_open_attempts(store, committer.lease.sweep_id) == 0


def test_the_attempt_under_way_is_the_only_one_that_is_open(filled: Store, committer: Committer) -> None:
    sweep_id = committer.lease.sweep_id
    assert counts.n_open_attempts(filled, sweep_id) == 1
    committer.commit([TrialFinished(TrialKey("adam", Phase.SEARCH, 0), 2, TrialState.DIVERGED, NOW)])
    assert counts.n_open_attempts(filled, sweep_id) == 0
    assert counts.n_open_attempts(filled, counts.stamps(filled)["other"].sweep_id) == 1


def test_stamps_are_what_sql_says_the_newest_sweep_first(filled: Store) -> None:
    found = counts.stamps(filled)
    rows = sql(filled, "SELECT name, id, lease_token, version, state FROM sweeps ORDER BY created_at DESC")
    assert [(n, s.sweep_id, s.token, s.version, s.state) for n, s in found.items()] == rows
    assert list(found) == ["other", "s"]
    assert found["s"].created_at == filled.sweep("s").created_at


def test_one_sweeps_stamp_is_the_one_among_all(filled: Store) -> None:
    assert counts.stamps(filled, "s") == {"s": counts.stamps(filled)["s"]}
    assert counts.stamps(filled, "nobody") == {}


def test_a_stamp_stays_until_something_is_written(
    filled: Store, committer: Committer, make_record: MakeRecord
) -> None:
    before = counts.stamps(filled)["s"]
    assert counts.stamps(filled)["s"] == before
    key = TrialKey("adam", Phase.SEARCH, 0)
    committer.commit([EpochsRecorded(key, 2, (make_record(2),), setup_s=0.1, train_s=1.0, eval_s=0.5)])
    after = counts.stamps(filled)["s"]
    assert after.version == before.version + 1
    assert str(after) != str(before)
    assert after.is_of_the_same_run(before)


def test_a_lease_that_ends_makes_another_stamp_of_the_same_run(filled: Store) -> None:
    before = counts.stamps(filled)["s"]
    assert before.state is SweepState.RUNNING
    sql(filled, "UPDATE sweeps SET lease_expires = lease_expires - 31")
    after = counts.stamps(filled)["s"]
    assert after == replace(before, state=SweepState.INTERRUPTED)
    assert str(after) != str(before)
    assert after.is_of_the_same_run(before)


def test_the_next_coordinator_begins_another_run(filled: Store, committer: Committer) -> None:
    before = counts.stamps(filled)["s"]
    committer.release()
    filled.take_sweep("s", 30)
    after = counts.stamps(filled)["s"]
    assert after.token == before.token + 1
    assert not after.is_of_the_same_run(before)


def test_a_sweep_that_ended_is_so_by_its_stamp(filled: Store, committer: Committer) -> None:
    committer.commit([SweepEnded(SweepState.COMPLETE)])
    assert counts.stamps(filled)["s"].state is SweepState.COMPLETE


def test_a_sweep_that_was_deleted_and_made_again_has_another_stamp(store: Store) -> None:
    store.create_sweep("s", {}, "", {}, 30).release()
    before = counts.stamps(store)["s"]
    store.delete_sweep("s")
    store.create_sweep("s", {}, "", {}, 30).release()
    after = counts.stamps(store)["s"]
    assert (after.token, after.version, after.state) == (before.token, before.version, before.state)
    assert str(after) != str(before)
    assert not after.is_of_the_same_run(before)
