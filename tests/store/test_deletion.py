from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sweeper.errors import LeaseHeldError, NotFoundError, SweepExistsError
from sweeper.records import EpochRecord, Trial, WorkerInfo
from sweeper.store import AttemptStarted, Committer, EpochsRecorded, Store, TrialPlanned
from sweeper.store.schema import attempts, epochs, sweeps, trials

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")


def fill(store: Store, name: str, trial: Trial, record: EpochRecord) -> Committer:
    committer = store.create_sweep(name, {}, "", {}, 30)
    epoch = EpochsRecorded(trial.key, 1, (record,), setup_s=0.1, train_s=1.0, eval_s=0.5)
    committer.commit([TrialPlanned(trial, NOW), AttemptStarted(trial.key, 1, WORKER, NOW), epoch])
    return committer


def n_rows(store: Store) -> list[int]:
    with store.engine.connect() as connection:
        counts = [sa.select(sa.func.count()).select_from(t) for t in (sweeps, trials, attempts, epochs)]
        return [connection.execute(count).scalar_one() for count in counts]


def test_a_deleted_sweep_takes_its_own_rows_along_and_no_other(
    store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    for name in ("s", "neighbour"):
        fill(store, name, make_trial(), make_record(1)).release()
    store.delete_sweep("s")
    assert n_rows(store) == [1, 1, 1, 1]
    assert [info.name for info in store.sweeps()] == ["neighbour"]
    assert len(store.trials("neighbour")) == 1
    store.create_sweep("s", {}, "", {}, 30)
    assert store.trials("s") == []


def test_a_sweep_that_is_run_is_not_deleted(
    store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    committer = fill(store, "s", make_trial(), make_record(1))
    with pytest.raises(LeaseHeldError, match="being run by process"):
        store.delete_sweep("s")
    assert n_rows(store) == [1, 1, 1, 1]
    committer.commit([])
    with pytest.raises(SweepExistsError):
        store.require_unused("s")


def test_what_is_not_there_is_not_deleted(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no sweep is called 'x'"):
        store.delete_sweep("x")
