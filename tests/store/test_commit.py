import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sweeper.records import (
    Checkpoint,
    EpochRecord,
    Params,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
    WorkerInfo,
)
from sweeper.store import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    Committer,
    EpochsRecorded,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)
from sweeper.store.commit import IDS, grouped
from sweeper.store.schema import attempts, epochs, trials

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")


@pytest.fixture
def committer(store: Store) -> Committer:
    return store.create_sweep("s", {}, "", {}, 30)


def started(key: TrialKey, attempt: int = 1) -> AttemptStarted:
    return AttemptStarted(key, attempt, WORKER, NOW)


def recorded(key: TrialKey, attempt: int, *records: EpochRecord) -> EpochsRecorded:
    return EpochsRecorded(key, attempt, records, setup_s=0.1, train_s=0.5, eval_s=0.25)


def rows(store: Store, table: sa.Table) -> list[sa.RowMapping]:
    with store.engine.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key)).mappings())


def test_a_trial_survives_the_round_trip(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    params: Params = {"lr": 1 / 3, "batch_size": 64, "schedule": "constant"}
    trial = make_trial("adam", 5, seed=2**63 - 1)
    trial = Trial(
        trial.key,
        trial.seed,
        params,
        {"lr": 1 / 3, "one_minus_beta1": 9.999999999998899e-05},
        trial.origin,
        True,
        5,
    )
    committer.commit([TrialPlanned(trial, NOW)])
    (stored,) = store.trials("s")
    assert stored.trial == trial
    assert stored.state is TrialState.QUEUED
    assert stored.attempt == stored.strikes == stored.epochs == 0


def test_a_trials_life_is_stored(
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    assert store.trials("s")[0].state is TrialState.RUNNING
    committer.commit([recorded(trial.key, 1, make_record(1), make_record(2, val_loss=1.5))])
    committer.commit([TrialFinished(trial.key, 1, TrialState.COMPLETE, NOW + timedelta(seconds=3))])
    (stored,) = store.trials("s")
    assert (stored.state, stored.epochs, stored.val_loss) == (TrialState.COMPLETE, 2, 1.5)
    (attempt,) = rows(store, attempts)
    assert (attempt["worker"], attempt["why"], attempt["strike"]) == ("1/0", "complete", False)
    assert attempt["ended_at"] - attempt["started_at"] == timedelta(seconds=3)
    assert [row["epoch"] for row in rows(store, epochs)] == [1, 2]


def test_writing_the_same_again_changes_nothing(
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    writes = [
        TrialPlanned(trial, NOW),
        started(trial.key),
        recorded(trial.key, 1, make_record(1), make_record(2)),
    ]
    committer.commit(writes)
    before = [rows(store, table) for table in (trials, attempts, epochs)]
    committer.commit(writes)
    assert [rows(store, table) for table in (trials, attempts, epochs)] == before


def test_a_record_from_a_replaced_attempt_is_refused(
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    lost = AttemptEnded(trial.key, 1, "its process died", True, NOW)
    committer.commit([TrialPlanned(trial, NOW), started(trial.key), lost, started(trial.key, attempt=2)])
    committer.commit([recorded(trial.key, 1, make_record(1))])
    assert rows(store, epochs) == []
    assert store.trials("s")[0].epochs == 0


def test_the_end_of_a_replaced_attempt_does_not_end_its_trial(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial()
    lost = AttemptEnded(trial.key, 1, "its process died", True, NOW)
    committer.commit([TrialPlanned(trial, NOW), started(trial.key), lost, started(trial.key, attempt=2)])
    committer.commit([TrialFinished(trial.key, 1, TrialState.COMPLETE, NOW)])
    assert store.trials("s")[0].state is TrialState.RUNNING


def test_a_lost_attempt_queues_its_trial_again_and_counts_its_strike(
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key), recorded(trial.key, 1, make_record(1))])
    committer.commit([AttemptEnded(trial.key, 1, "its process died", True, NOW)])
    (stored,) = store.trials("s")
    assert (stored.state, stored.attempt, stored.strikes) == (TrialState.QUEUED, 1, 1)
    committer.commit([started(trial.key, attempt=2)])
    (stored,) = store.trials("s")
    assert (stored.epochs, stored.val_loss) == (0, None)
    assert len(rows(store, epochs)) == 1, "what the lost attempt recorded is kept"


def test_what_its_coordinator_left_open_is_closed_when_the_next_takes_the_sweep(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    trial, other = make_trial(), make_trial("adam")
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    someone = store.create_sweep("other", {}, "", {}, 30)
    someone.commit([TrialPlanned(other, NOW), started(other.key)])
    committer.release()
    store.take_sweep("s", 30)
    first, others = rows(store, attempts)
    assert (first["why"], first["strike"]) == ("its coordinator died", False)
    assert first["ended_at"] >= NOW
    assert store.trials("s")[0].state is TrialState.QUEUED
    assert others["ended_at"] is None
    assert store.trials("other")[0].state is TrialState.RUNNING


def test_an_interruption_is_no_strike(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    committer.commit([AttemptEnded(trial.key, 1, "interrupted", False, NOW)])
    assert store.trials("s")[0].strikes == 0


def test_a_failed_trial_keeps_its_error_and_its_last_strike(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    committer.commit([TrialFinished(trial.key, 1, TrialState.FAILED, NOW, "ValueError: no")])
    (stored,) = store.trials("s")
    assert (stored.state, stored.error, stored.strikes) == (TrialState.FAILED, "ValueError: no", 1)


def test_the_checkpoint_that_counts_is_the_latest_of_the_present_attempt(
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    records = tuple(make_record(epoch, val_loss=3.0 - epoch) for epoch in (1, 2, 3))
    committer.commit([TrialPlanned(trial, NOW), started(trial.key), recorded(trial.key, 1, *records)])
    committer.commit([CheckpointSaved(trial.key, Checkpoint(1, 2))])
    assert store.trials("s")[0].checkpoint == Checkpoint(1, 2)
    assert store.records("s") == {trial.key: records[:2]}
    committer.commit([AttemptStarted(trial.key, 2, WORKER, NOW, records[:2])])
    (stored,) = store.trials("s")
    assert (stored.epochs, stored.val_loss, stored.checkpoint) == (2, 1.0, Checkpoint(1, 2))
    committer.commit([CheckpointSaved(trial.key, Checkpoint(1, 3))])
    assert store.trials("s")[0].checkpoint == Checkpoint(1, 2), "of an attempt that was replaced"
    committer.commit([recorded(trial.key, 2, records[2]), CheckpointSaved(trial.key, Checkpoint(2, 3))])
    assert store.trials("s")[0].checkpoint == Checkpoint(2, 3)
    assert store.records("s") == {trial.key: records}
    committer.commit([started(trial.key, 3)])
    (stored,) = store.trials("s")
    assert (stored.epochs, stored.val_loss, stored.checkpoint) == (0, None, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null(
    value: float,
    store: Store,
    committer: Committer,
    make_trial: Callable[..., Trial],
    make_record: Callable[..., EpochRecord],
) -> None:
    trial = make_trial()
    record = make_record(1, train_loss=value, val_loss=value)
    committer.commit([TrialPlanned(trial, NOW), started(trial.key), recorded(trial.key, 1, record)])
    assert rows(store, epochs)[0]["train_loss"] is None
    assert store.trials("s")[0].val_loss is None


def test_a_text_that_a_database_cannot_hold_is_stored_as_far_as_it_can_be(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    committer.commit([TrialFinished(trial.key, 1, TrialState.FAILED, NOW, "no \x00 such \udcff file ü")])
    assert store.trials("s")[0].error == r"no \x00 such \udcff file ü"
    assert rows(store, attempts)[0]["why"] == r"no \x00 such \udcff file ü"


def test_times_come_back_in_utc_with_microseconds(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    committer.commit([TrialPlanned(make_trial(), NOW)])
    assert rows(store, trials)[0]["queued_at"] == NOW


def test_a_sweep_that_ended_is_complete_and_held_by_nobody(store: Store, committer: Committer) -> None:
    committer.commit([SweepEnded(SweepState.COMPLETE)])
    committer.release()
    info = store.sweep("s")
    assert (info.state, info.holder) == (SweepState.COMPLETE, None)


def test_two_sweeps_with_the_same_trials_do_not_mix(
    store: Store, committer: Committer, make_trial: Callable[..., Trial]
) -> None:
    other = store.create_sweep("other", {}, "", {}, 30)
    trial = make_trial()
    committer.commit([TrialPlanned(trial, NOW), started(trial.key)])
    other.commit([TrialPlanned(trial, NOW)])
    assert store.trials("s")[0].state is TrialState.RUNNING
    assert store.trials("other")[0].state is TrialState.QUEUED
    assert [info.name for info in store.sweeps()] == ["other", "s"]
    assert store.sweep("s").trials["running"] == 1


def lives(make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]) -> list[Write]:
    """Two attempts at each of six trials, in turns as they come: each trial's writes in their order."""
    each: list[list[Write]] = []
    for number in range(6):
        trial = make_trial("adam", number)
        first, second = make_record(1, val_loss=1.0 + number), make_record(2, val_loss=0.5 + number)
        each.append(
            [
                TrialPlanned(trial, NOW),
                started(trial.key),
                recorded(trial.key, 1, first),
                CheckpointSaved(trial.key, Checkpoint(1, 1)),
                AttemptEnded(trial.key, 1, "its process died", number % 2 == 0, NOW),
                AttemptStarted(trial.key, 2, WORKER, NOW, (first,)),
                recorded(trial.key, 1, make_record(2, val_loss=9.0)),
                recorded(trial.key, 2, second),
                TrialFinished(trial.key, 2, TrialState.COMPLETE, NOW),
            ]
        )
    stream = random.Random(0)
    turns = [life for life in each for _ in life]
    stream.shuffle(turns)
    return [life.pop(0) for life in turns]


def test_what_is_written_at_once_comes_to_the_same_as_one_by_one(
    store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    writes = lives(make_trial, make_record)
    one_by_one, at_once = (store.create_sweep(name, {}, "", {}, 30) for name in ("one by one", "at once"))
    for write in writes:
        one_by_one.commit([write])
    one_by_one.release()
    at_once.commit(writes)
    at_once.release()
    assert store.trials("at once") == store.trials("one by one")
    for table, key in ((trials, "id"), (attempts, "trial_id"), (epochs, "trial_id")):
        found = [{**row, key: 0, "sweep_id": 0} for row in rows(store, table)]
        half = len(found) // 2
        assert found[half:] == found[:half] != []


def test_what_is_written_at_once_takes_few_statements(
    make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    keys = [make_trial("adam", number).key for number in range(100)]
    lived = [
        (started(k), recorded(k, 1, make_record(1)), TrialFinished(k, 1, TrialState.COMPLETE, NOW))
        for k in keys
    ]
    writes: list[Write] = [write for life in lived for write in life]
    groups = list(grouped([*writes, SweepEnded(SweepState.COMPLETE)]))
    assert [(kind, len(group)) for kind, group in groups] == [
        (AttemptStarted, 100),
        (EpochsRecorded, 100),
        (TrialFinished, 100),
        (SweepEnded, 1),
    ]


def test_each_trials_writes_stay_in_their_order(
    make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    writes = lives(make_trial, make_record)
    in_groups = [write for _, group in grouped(writes) for write in group]
    for number in range(6):
        key = make_trial("adam", number).key
        assert [w for w in in_groups if w.key == key] == [w for w in writes if w.key == key]  # type: ignore[union-attr]


def test_a_trials_id_is_looked_up_without_reading_the_whole_sweep() -> None:
    store = Store.open("sqlite://", create=True)
    sought = IDS.params(sweep=1, optimizer=["adam", "sgd"], phase=["search"], number=[5, 7])
    text = sought.compile(store.engine, compile_kwargs={"literal_binds": True}).string
    with store.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    assert "sweep_id=? AND optimizer=? AND phase=? AND number=?" in plan[0][-1]
    store.close()
