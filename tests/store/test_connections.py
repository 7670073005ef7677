"""Readers and the writer: who waits for whom, how long, and what each of them sees."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import sqlalchemy as sa

from sweeper.analysis import frames
from sweeper.errors import StoreAwayError
from sweeper.records import EpochRecord, Trial, TrialState, WorkerInfo
from sweeper.store import AttemptStarted, EpochsRecorded, Store, TrialFinished, TrialPlanned, Write
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.url import parse

if TYPE_CHECKING:
    from postgres_server import PostgresServer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")
MakeTrial = Callable[..., Trial]
MakeRecord = Callable[..., EpochRecord]


def life(trial: Trial, record: EpochRecord) -> list[Write]:
    return [
        TrialPlanned(trial, NOW),
        AttemptStarted(trial.key, 1, WORKER, NOW),
        EpochsRecorded(trial.key, 1, (record,), setup_s=0.1, train_s=1.0, eval_s=0.5),
        TrialFinished(trial.key, 1, TrialState.COMPLETE, NOW),
    ]


@contextmanager
def writing(url: str, lease_s: float) -> Iterator[sa.Connection]:
    reader = reading(parse(url))
    connection = WritingConnection(parse(url), lease_s, reader)
    try:
        with connection.begin() as opened:
            yield opened
    finally:
        connection.close()
        reader.dispose()


def test_sqlites_writer_is_durable_and_gives_up_before_its_lease_does(tmp_path: Path) -> None:
    with writing(f"sqlite:///{tmp_path / 'store.db'}", lease_s=30) as connection:
        settings = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.scalar(sa.text(f"PRAGMA {setting}")) for setting in settings]
        assert found == ["wal", 2, 1, 15_000]  # 2: FULL


@pytest.mark.postgres
def test_postgresqls_writer_is_durable_and_gives_up_before_its_lease_does(
    postgres_server: "PostgresServer",
) -> None:
    url = postgres_server.store_url()
    database = sa.make_url(url).database
    postgres_server.sql(f"ALTER DATABASE {database} SET synchronous_commit = off")
    with writing(url, lease_s=30) as connection:
        settings = ("lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
        found = [connection.scalar(sa.text(f"SHOW {setting}")) for setting in settings]
        assert found == ["15s", "15s", "on"]
        assert connection.get_isolation_level() == "READ COMMITTED"
        parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        assert {key: int(parameters[key]) for key in ("connect_timeout", "keepalives_idle")} == {
            "connect_timeout": 15,
            "keepalives_idle": 5,
        }
        assert int(parameters["tcp_user_timeout"]) == 15_000


@pytest.mark.postgres
@pytest.mark.parametrize("n_rows", [1, 2])
def test_postgresql_ends_a_writer_that_falls_silent_within_a_transaction(
    postgres_server: "PostgresServer", n_rows: int
) -> None:
    url = postgres_server.store_url()
    was_ended = False

    def write_and_say_no_more() -> None:
        nonlocal was_ended
        with writing(url, lease_s=2) as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            update = sa.text("UPDATE sweeps SET version = version + 1 WHERE id = :id")
            connection.execute(update, [{"id": number} for number in range(n_rows)])
            deadline = time.monotonic() + 20
            while postgres_server.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
                assert time.monotonic() < deadline, "it holds its locks still"
                time.sleep(0.05)
            was_ended = True

    with pytest.raises(StoreAwayError):
        write_and_say_no_more()
    assert was_ended, "its connection was lost before it fell silent"


@pytest.mark.postgres
def test_what_the_url_says_about_a_connection_wins(postgres_server: "PostgresServer") -> None:
    with writing(postgres_server.store_url() + "&connect_timeout=7", lease_s=30) as connection:
        parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        assert parameters["connect_timeout"] == "7"


def test_a_reader_sees_one_moment_of_the_store(store: Store, make_trial: MakeTrial) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    count = sa.text("SELECT count(*) FROM trials")
    with store.engine.connect() as reader:
        assert reader.scalar(count) == 0
        committer.commit([TrialPlanned(make_trial(), NOW)])
        assert reader.scalar(count) == 0
    with store.engine.connect() as reader:
        assert reader.scalar(count) == 1


def test_a_reader_that_keeps_its_transaction_open_does_not_stop_the_writer(
    store: Store, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    committer = store.create_sweep("s", {}, "", {}, 2)
    if store.url.startswith("sqlite"):  # what is committed can't be moved out of its log while one reads
        with committer._database.engine.connect() as connection:
            connection.execute(sa.text("PRAGMA wal_autocheckpoint = 1"))
    with store.engine.connect() as reader:
        reader.scalar(sa.text("SELECT count(*) FROM trials"))
        for number in range(20):
            committer.commit(life(make_trial("sgd", number), make_record(1)))
    assert store.sweep("s").trials["complete"] == 20


def test_readers_neither_stop_the_writer_nor_see_half_a_transaction(
    store: Store, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    errors: list[BaseException] = []
    seen: list[int] = []
    over = threading.Event()

    def read_on() -> None:
        try:
            while not over.is_set():
                (info,) = store.sweeps()
                assert info.trials["queued"] == info.trials["running"] == 0
                trials = frames.trials(store, "s")
                assert (trials["state"] == "complete").all()
                assert len(frames.epochs(store, "s")) >= len(trials) >= sum(info.trials.values())
                seen.append(len(trials))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read_on) for _ in range(2)]
    for reader in readers:
        reader.start()
    slowest = 0.0
    for number in range(40):
        began = time.monotonic()
        committer.commit(life(make_trial("sgd", number), make_record(1)))
        slowest = max(slowest, time.monotonic() - began)
    over.set()
    for reader in readers:
        reader.join(20)
    assert errors == []
    assert max(seen) > 0
    assert slowest < 5, "a third of the patience of a writer"


@pytest.mark.postgres
def test_frames_are_the_same_from_both_databases(
    postgres_server: "PostgresServer", tmp_path: Path, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    records = [make_record(1, val_loss=1 / 3), make_record(1, val_loss=float("nan"), lr=5e-324)]
    stores = [
        Store.open(f"sqlite:///{tmp_path / 'store.db'}", create=True),
        Store.open(postgres_server.store_url(), create=True),
    ]
    for store in stores:
        committer = store.create_sweep("s", {"a": [1.5, None]}, "ü", {"b": {"z": 1, "a": 2}}, 30)
        for number, record in enumerate(records):
            committer.commit(life(make_trial("adam", number, seed=2**63 - 1, beta1=0.1 + 0.2), record))
        committer.commit([TrialPlanned(make_trial("sgd", 1), NOW)])
    for frame in (frames.trials, frames.epochs, frames.attempts):
        one, other = (frame(store, "s") for store in stores)
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert len(one) >= 2
    documents = [
        (info.experiment, info.experiment_text, list(info.facts["b"])) for info in map(_info, stores)
    ]
    assert documents[0] == documents[1]
    for store in stores:
        store.close()


def _info(store: Store):  # type: ignore[no-untyped-def]
    return store.sweep("s")


def test_a_reader_leaves_an_older_journal_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}", create=True)
    store.create_sweep("s", {}, "", {}, 30).release()
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    before = path.read_bytes()
    copy = Store.open(f"sqlite:///{path}")
    assert [info.name for info in copy.sweeps()] == ["s"]
    copy.close()
    assert path.read_bytes() == before
