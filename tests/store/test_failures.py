"""What goes wrong in a database is one line, and says whether waiting may help."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sweeper.errors import FencedError, StoreAwayError, StoreError
from sweeper.records import Trial
from sweeper.store import Committer, Store, TrialPlanned
from sweeper.store.schema import trials

if TYPE_CHECKING:
    from postgres_server import PostgresServer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MakeTrial = Callable[..., Trial]


def n_trials(store: Store) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(trials)).scalar_one())


def fails_for_good(action: Callable[[], object], words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        action()
    assert not isinstance(caught.value, StoreAwayError)
    assert "\n" not in str(caught.value)


def fails_for_now(action: Callable[[], object], words: str) -> None:
    with pytest.raises(StoreAwayError, match=words) as caught:
        action()
    assert "\n" not in str(caught.value)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'store.db'}", create=True)
    yield opened
    opened.close()


@pytest.mark.postgres
def test_a_server_that_will_never_let_us_in_is_told_from_one_that_is_busy(
    postgres_server: "PostgresServer",
) -> None:
    url = postgres_server.store_url()
    wrong, right = (postgres_server.guarded_url(url, password) for password in ("wrong", "right"))
    fails_for_good(lambda: Store.open(wrong), "password authentication failed")
    fails_for_good(lambda: Store.open(right.replace(":right", "")), "no password supplied")
    fails_for_good(lambda: Store.open(url.replace("postgres@", "nobody@")), 'role "nobody" does not exist')
    fails_for_good(lambda: Store.open(url.replace("store_", "lost_")), 'database "lost_.*" does not exist')
    fails_for_good(lambda: Store.open(right), "permission denied for table alembic_version")
    fails_for_now(lambda: Store.open("postgresql://u@127.0.0.1:1/db"), "Connection refused")
    fails_for_now(lambda: Store.open("postgresql://u@no-such-host.invalid/db"), "no-such-host.invalid")
    postgres_server.sql("ALTER ROLE guarded CONNECTION LIMIT 0")
    try:
        fails_for_now(lambda: Store.open(right), "too many connections")
    finally:
        postgres_server.sql("ALTER ROLE guarded CONNECTION LIMIT -1")


@pytest.mark.postgres
def test_a_connection_that_the_server_ended_is_opened_again(
    postgres_server: "PostgresServer", make_trial: MakeTrial
) -> None:
    store = Store.open(postgres_server.store_url())
    committer = store.create_sweep("s", {}, "", {}, 30)
    store.sweeps()
    database = sa.make_url(store.url).database
    ended = postgres_server.sql(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'"
    )
    assert ended == [(True,), (True,)], "a reader's connection and the writer's"
    assert [info.name for info in store.sweeps()] == ["s"], "a reader notices nothing"
    fails_for_now(lambda: committer.commit([TrialPlanned(make_trial(), NOW)]), "terminating connection")
    committer.commit([TrialPlanned(make_trial(), NOW)])
    assert n_trials(store) == 1
    store.close()


def test_a_full_disk_is_told_and_what_was_stored_stays(sqlite_store: Store, make_trial: MakeTrial) -> None:
    committer = sqlite_store.create_sweep("s", {}, "", {}, 30)
    committer.commit([TrialPlanned(make_trial("sgd", 0), NOW)])
    engine = committer._database.engine
    with engine.connect() as connection:
        n_pages = connection.scalar(sa.text("PRAGMA page_count"))
        connection.execute(sa.text(f"PRAGMA max_page_count = {n_pages}"))
    many = [TrialPlanned(make_trial("adam", number), NOW) for number in range(500)]
    fails_for_good(lambda: committer.commit(many), "database or disk is full")
    assert n_trials(sqlite_store) == 1, "all of a transaction or nothing"


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_was_deleted_or_replaced_is_noticed_before_anything_is_acknowledged(
    sqlite_store: Store, make_trial: MakeTrial, tmp_path: Path, replace: bool
) -> None:
    committer = sqlite_store.create_sweep("s", {}, "", {}, 30)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{tmp_path / 'store.db'}{suffix}").unlink()
    if replace:
        other = Store.open(f"sqlite:///{tmp_path / 'store.db'}", create=True)
        other.create_sweep("s", {}, "", {}, 30).release()
        other.close()
    planned = [TrialPlanned(make_trial(), NOW)]
    fails_for_good(lambda: committer.commit(planned), "its file was deleted or replaced while it was written")
    fails_for_good(committer.release, "deleted or replaced")


def test_a_file_that_is_deleted_within_a_transaction_is_noticed_too(
    sqlite_store: Store, make_trial: MakeTrial, tmp_path: Path
) -> None:
    committer = sqlite_store.create_sweep("s", {}, "", {}, 30)
    committer._apply = {**committer._apply, TrialPlanned: lambda *_: (tmp_path / "store.db").unlink()}
    doomed = [TrialPlanned(make_trial(), NOW)]
    fails_for_good(lambda: committer.commit(doomed), "its file was deleted or replaced")


def test_a_damaged_file_is_told(tmp_path: Path, make_trial: MakeTrial) -> None:
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}", create=True)
    committer = store.create_sweep("s", {}, "", {}, 30)
    committer.commit([TrialPlanned(make_trial("sgd", number), NOW) for number in range(100)])
    committer.release()
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    fails_for_good(lambda: Store.open(f"sqlite:///{path}").trials("s"), "malformed; the file is damaged")


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to look at" * 10)
    fails_for_good(lambda: Store.open(f"sqlite:///{path}"), r"text\.db: file is not a database")


def test_a_directory_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'such.db'}"
    fails_for_good(
        lambda: Store.open(url, create=True), "unable to open database file; its directory must exist"
    )


WITHOUT_RIGHTS = """
import os, sys
from sweeper.store import Store
Store.open("sqlite://").close()  # imports what opening needs, while it can still be read
if os.geteuid() == 0:  # whom no permission stops
    os.setuid(65534)
from sweeper.errors import StoreError
try:
    store = Store.open(f"sqlite:///{sys.argv[1]}", create=True)
    store.create_sweep("new", {}, "", {}, 30)
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("new.db", "unable to open database file; its directory must exist, and be writable"),
        ("store.db", "must be writable"),
    ],
)
def test_a_place_that_is_read_only_is_told(file: str, words: str) -> None:
    directory = Path(tempfile.mkdtemp(prefix="sweeper-"))
    try:
        store = Store.open(f"sqlite:///{directory / 'store.db'}", create=True)
        store.create_sweep("s", {}, "", {}, 30).release()
        store.close()
        (directory / "store.db").chmod(0o444)
        directory.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, str(directory / file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.startswith("StoreError store sqlite:///"), done.stderr
        assert words in done.stdout
        assert len(done.stdout.splitlines()) == 1
        assert [path.name for path in directory.iterdir()] == ["store.db"]
    finally:
        directory.chmod(0o755)
        shutil.rmtree(directory)


def test_a_sweep_that_was_deleted_under_its_coordinator_is_said_to_be(
    store: Store, make_trial: MakeTrial
) -> None:
    committer: Committer = store.create_sweep("s", {}, "", {}, 30)
    with store.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM sweeps"))
    with pytest.raises(FencedError, match="sweep 's': it was deleted; this coordinator stops"):
        committer.commit([TrialPlanned(make_trial(), NOW)])


def test_a_new_sweep_in_a_deleted_ones_place_is_not_taken_for_it(store: Store, make_trial: MakeTrial) -> None:
    thought_dead = store.create_sweep("s", {}, "", {}, 30)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE sweeps SET lease_expires = 1"))
    store.delete_sweep("s")
    store.create_sweep("s", {}, "", {}, 30)
    with store.engine.begin() as connection:  # as SQLite does by itself
        connection.execute(sa.text(f"UPDATE sweeps SET id = {thought_dead.lease.sweep_id}"))
    with pytest.raises(FencedError, match="deleted"):
        thought_dead.commit([TrialPlanned(make_trial(), NOW)])
    assert n_trials(store) == 0
