"""A store that is opened for reading only: it reads what every reader reads, and can write nothing."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sweeper.analysis import frames
from sweeper.errors import NotFoundError, StoreAwayError, StoreError
from sweeper.records import Trial
from sweeper.store import Store, TrialPlanned
from sweeper.store.failures import translated

if TYPE_CHECKING:
    from postgres_server import PostgresServer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MakeTrial = Callable[..., Trial]
COUNT = sa.text("SELECT count(*) FROM trials")
REFUSED = "attempt to write a readonly database|read-only transaction"


def read_only(url: str) -> Store:
    return Store.open(url, read_only=True)


def insert(store: Store, statement: str = "INSERT INTO alembic_version VALUES ('x')") -> None:
    with translated(store.engine.url), store.engine.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An SQLite store at rest, with the sweep `s`, in a directory whose name is quoted in a URI."""
    directory = tmp_path / "50% of #1 ü"
    directory.mkdir()
    store = Store.open(f"sqlite:///{directory / 'store.db'}", create=True)
    store.create_sweep("s", {}, "", {}, 30).release()
    store.close()
    return directory / "store.db"


@pytest.fixture
def at_rest(file: Path) -> Iterator[Store]:
    opened = read_only(f"sqlite:///{file}")
    yield opened
    opened.close()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_it_reads_what_a_running_sweep_writes(store: Store, make_trial: MakeTrial) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    reader = read_only(store.url)
    assert reader.trials("s") == []
    committer.commit([TrialPlanned(make_trial(), NOW)])
    assert len(reader.trials("s")) == len(frames.trials(reader, "s")) == 1
    assert [info.name for info in reader.sweeps()] == ["s"]
    reader.close()


def test_its_transaction_sees_one_moment(store: Store, make_trial: MakeTrial) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    reader = read_only(store.url)
    with reader.engine.connect() as connection:
        assert connection.scalar(COUNT) == 0
        committer.commit([TrialPlanned(make_trial(), NOW)])
        assert connection.scalar(COUNT) == 0
    with reader.engine.connect() as connection:
        assert connection.scalar(COUNT) == 1
    reader.close()


@pytest.mark.parametrize("statement", ["INSERT INTO alembic_version VALUES ('x')", "DROP TABLE epochs"])
@pytest.mark.parametrize("is_run", [False, True])
def test_the_database_itself_refuses_a_write(store: Store, statement: str, is_run: bool) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    if not is_run:
        committer.release()
        store.close()
    reader = read_only(store.url)
    with pytest.raises(StoreError, match=REFUSED) as caught:
        insert(reader, statement)
    assert "\n" not in str(caught.value)
    assert reader.sweep("s").name == "s"
    reader.close()


def test_it_makes_takes_stops_and_deletes_no_sweep(store: Store) -> None:
    store.create_sweep("s", {}, "", {}, 30).release()
    reader = read_only(store.url)
    for action in (
        lambda: reader.create_sweep("t", {}, "", {}, 30),
        lambda: reader.take_sweep("s", 30),
        lambda: reader.ask_to_stop("s"),
        lambda: reader.delete_sweep("s"),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert str(caught.value) == f"store {reader.url}: it was opened for reading only"
    assert [info.name for info in store.sweeps()] == ["s"]
    reader.close()


def test_what_is_made_cannot_be_opened_for_reading_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't be made"):
        Store.open(f"sqlite:///{tmp_path / 'new.db'}", create=True, read_only=True)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("location", ["new.db", "no/such/new.db", ""])
def test_a_store_that_does_not_exist_is_empty_and_stays_so(tmp_path: Path, location: str) -> None:
    reader = read_only(f"sqlite:///{tmp_path / location}" if location else "sqlite://")
    assert reader.sweeps() == []
    with pytest.raises(NotFoundError):
        reader.sweep("s")
    with pytest.raises(StoreError, match=REFUSED):
        insert(reader, "DELETE FROM sweeps")
    with pytest.raises(StoreError, match="opened for reading only"):
        reader.create_sweep("s", {}, "", {}, 30)
    reader.close()
    assert names(tmp_path) == set()


def test_a_file_at_rest_is_read_without_any_file_beside_it(file: Path, at_rest: Store) -> None:
    before = file.read_bytes(), file.stat().st_mtime_ns
    with at_rest.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT name FROM sweeps")) == "s"
        assert names(file.parent) == {"store.db"}
    assert names(file.parent) == {"store.db"}
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_a_file_is_found_through_a_link(file: Path, make_trial: MakeTrial) -> None:
    link = file.parent.parent / "link.db"
    link.symlink_to(file)
    store = Store.open(f"sqlite:///{file}")
    store.take_sweep("s", 30).commit([TrialPlanned(make_trial(), NOW)])
    reader = read_only(f"sqlite:///{link}")
    assert len(reader.trials("s")) == 1
    reader.close()
    store.close()


def test_the_same_reader_reads_before_during_and_after_a_run(
    file: Path, at_rest: Store, make_trial: MakeTrial
) -> None:
    assert at_rest.trials("s") == []
    store = Store.open(f"sqlite:///{file}")
    committer = store.take_sweep("s", 30)
    committer.commit([TrialPlanned(make_trial(), NOW)])
    assert names(file.parent) == {"store.db", "store.db-wal", "store.db-shm"}
    assert len(at_rest.trials("s")) == 1
    store.close()
    assert names(file.parent) == {"store.db"}, "no reader keeps the last writer from clearing its log away"
    assert len(at_rest.trials("s")) == 1


def test_what_was_read_while_a_writer_came_and_went_is_to_be_read_again(file: Path, at_rest: Store) -> None:
    def read_beside_a_writer() -> None:
        with at_rest.engine.connect() as connection:
            connection.scalar(COUNT)
            writer = Store.open(f"sqlite:///{file}")
            writer.take_sweep("s", 30).release()
            writer.close()

    with pytest.raises(StoreAwayError) as caught:
        read_beside_a_writer()
    assert str(caught.value) == f"store {at_rest.url}: its file was written while it was read; read it again"
    assert at_rest.sweep("s").name == "s"


def test_a_log_that_only_a_writer_can_take_in_names_the_command_that_does(
    file: Path, at_rest: Store, tmp_path: Path, make_trial: MakeTrial
) -> None:
    store = Store.open(f"sqlite:///{file}")
    store.take_sweep("s", 30).commit([TrialPlanned(make_trial(), NOW)])
    copy = tmp_path / "copy.db"
    for ending in ("", "-wal"):
        copy.with_name(copy.name + ending).write_bytes(file.with_name(file.name + ending).read_bytes())
    store.close()
    with pytest.raises(
        StoreError, match=r"copy\.db-wal holds commits.*; `sweeper list --store 'sqlite"
    ) as caught:
        read_only(f"sqlite:///{copy}")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"copy.db", "copy.db-wal", file.parent.name}


def test_an_older_journal_is_read_under_its_own_locks(file: Path, at_rest: Store) -> None:
    with sqlite3.connect(file, isolation_level=None) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE sweeps SET name = 'other'")
        assert "store.db-journal" in names(file.parent)
        assert at_rest.sweep("s").name == "s"
        writer.execute("ROLLBACK")
    writer.close()
    assert names(file.parent) == {"store.db"}


def test_a_file_that_goes_away_is_told(file: Path, at_rest: Store) -> None:
    file.unlink()
    with pytest.raises(StoreError, match="No such file or directory"):
        at_rest.sweeps()
    assert names(file.parent) == set()


WITHOUT_RIGHTS = """
import os, sys
from sweeper.store import Store
Store.open("sqlite://").close()  # imports what opening needs, while it can still be read
if os.geteuid() == 0:  # whom no permission stops
    os.setuid(65534)
from sweeper.errors import StoreError
try:
    store = Store.open(f"sqlite:///{sys.argv[1]}", read_only=True)
    print(*[info.name for info in store.sweeps()])
except StoreError as error:
    print(type(error).__name__, error)
"""


def read_without_rights(file: Path) -> str:
    command = [sys.executable, "-c", WITHOUT_RIGHTS, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("is_run", [False, True])
def test_a_directory_that_is_not_writable_is_enough(is_run: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        store = Store.open(f"sqlite:///{directory / 'store.db'}", create=True)
        committer = store.create_sweep("s", {}, "", {}, 30)
        if not is_run:
            committer.release()
            store.close()
        before = names(directory)
        assert len(before) == (3 if is_run else 1)
        directory.chmod(0o555)
        try:
            assert read_without_rights(directory / "store.db") == "s"
            assert names(directory) == before
        finally:
            directory.chmod(0o755)
            store.close()


def test_a_file_that_may_not_be_read_is_told_in_one_line() -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        Store.open(f"sqlite:///{directory / 'store.db'}", create=True).close()
        directory.chmod(0o555)
        (directory / "store.db").chmod(0o200 if os.geteuid() else 0o600)
        told = read_without_rights(directory / "store.db")
        directory.chmod(0o755)
    assert told.startswith(f"StoreError store sqlite:///{directory}/store.db: unable to open database file")
    assert "\n" not in told


@pytest.mark.postgres
def test_postgresql_is_told_to_refuse_whatever_the_url_says(postgres_server: "PostgresServer") -> None:
    reader = read_only(postgres_server.store_url() + "&options=-cdefault_transaction_read_only=off")
    autocommitting = reader.engine.execution_options(isolation_level="AUTOCOMMIT")
    for engine in (reader.engine, autocommitting):
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW transaction_read_only")) == "on"
    with reader.engine.connect() as connection:
        assert connection.get_isolation_level() == "REPEATABLE READ"
    reader.close()


@pytest.mark.postgres
def test_an_empty_postgresql_database_is_read_as_empty(postgres_server: "PostgresServer") -> None:
    reader = read_only(postgres_server.empty_url())
    assert reader.sweeps() == []
    reader.close()
