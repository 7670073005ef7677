"""The schema: made once, checked whenever a store is opened, and brought up to date on request."""

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sweeper.errors import FencedError, LeaseHeldError, NotFoundError, StoreError
from sweeper.records import SweepState, TrialState
from sweeper.store import Committer, Store, lease, migrate, upgrade
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.schema import metadata
from sweeper.store.url import parse

if TYPE_CHECKING:
    from postgres_server import PostgresServer

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def empty_url(store_url: str, request: pytest.FixtureRequest) -> str:
    """A database without any table: no file, or one that a server just made."""
    if store_url.startswith("sqlite"):
        return store_url
    url: str = request.getfixturevalue("postgres_server").empty_url()
    return url


def set_revision(store: Store, revision: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def database_of(migrations: str | None, url: str) -> sa.Engine:
    """The database, made by the migrations up to that one, or as a new store is made."""
    location = parse(url)
    if migrations is None:
        Store.open(url, create=True).close()
    engine = reading(location)
    if migrations is not None:
        writing = WritingConnection(location, 30, engine)
        with writing.begin() as connection:
            migrate._to_head(connection, migrations)
        writing.close()
    return engine


@pytest.mark.parametrize("migrations", [None, "head"])
def test_a_new_store_and_the_migrations_have_the_tables_that_the_code_uses(
    empty_url: str, migrations: str | None
) -> None:
    engine = database_of(migrations, empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == migrate.HEAD
    engine.dispose()


def described(engine: sa.Engine) -> dict[str, Any]:
    """Every table, but for the order of its columns."""
    found = sa.inspect(engine)

    def sorted_by_name(things: Sequence[Any]) -> list[Any]:
        return sorted(things, key=lambda thing: str(thing["name"]))

    def described_column(column: Any) -> dict[str, Any]:
        return {**column, "type": column["type"].compile(dialect=engine.dialect)}

    return {
        table: {
            "columns": sorted_by_name([described_column(column) for column in found.get_columns(table)]),
            "key": found.get_pk_constraint(table),
            "foreign keys": sorted_by_name(found.get_foreign_keys(table)),
            "uniques": sorted_by_name(found.get_unique_constraints(table)),
            "indexes": sorted_by_name(found.get_indexes(table)),
            "checks": sorted_by_name(found.get_check_constraints(table)),
        }
        for table in found.get_table_names()
    }


def test_a_new_store_is_what_all_migrations_make(
    tmp_path: Path, store_url: str, request: pytest.FixtureRequest
) -> None:
    """Down to names, keys, defaults and comments, which `compare_metadata` leaves out in part."""

    def empty(name: str) -> str:
        if store_url.startswith("postgresql"):
            return str(request.getfixturevalue("postgres_server").empty_url())
        return f"sqlite:///{tmp_path / name}"

    made = [database_of(None, empty("new.db")), database_of("head", empty("migrated.db"))]
    new, migrated = [described(engine) for engine in made]
    assert set(new) == {"alembic_version", "sweeps", "trials", "attempts", "epochs"}
    assert new == migrated
    for engine in made:
        engine.dispose()


def test_reading_makes_no_tables(empty_url: str) -> None:
    store = Store.open(empty_url)
    assert store.sweeps() == []
    store.close()
    engine = reading(parse(empty_url))
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("table", ["cats (name TEXT)", "alembic_version (version_num TEXT)"])
def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    before = path.read_bytes()
    for action in (
        lambda: Store.open(f"sqlite:///{path}", create=True),
        lambda: upgrade(f"sqlite:///{path}"),
    ):
        with pytest.raises(StoreError, match=r"other\.db: its schema is not one of Sweeper"):
            action()
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_for_reading_and_for_upgrading(store: Store, store_url: str) -> None:
    set_revision(store, "9999")
    for action in (Store.open, upgrade):
        with pytest.raises(StoreError, match="schema is 9999, newer than the 0003"):
            action(store_url)


def test_two_processes_may_make_a_store_at_the_same_moment(
    tmp_path: Path, request: pytest.FixtureRequest, store_url: str
) -> None:
    code = "import sys; from sweeper.store import Store; Store.open(sys.argv[1], create=True).close()"
    on_server = store_url.startswith("postgresql")
    for attempt in range(1 if on_server else 2):
        url = f"sqlite:///{tmp_path / f'{attempt}.db'}"
        if on_server:
            url = request.getfixturevalue("postgres_server").empty_url()
        both = [subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE) for _ in range(2)]
        errors = [process.communicate(timeout=60)[1].decode() for process in both]
        assert [process.returncode for process in both] == [0, 0], errors


def test_a_store_that_another_process_has_just_made_is_left_as_it_is(empty_url: str) -> None:
    """It looked as if there were none, and by the time that the lock is free there is."""
    store = Store.open(empty_url, create=True)
    store.create_sweep("s", {}, "", {}, 30)
    migrate._migrate(store.engine, parse(empty_url), migrate.EMPTY)
    assert [sweep.name for sweep in store.sweeps()] == ["s"]
    store.close()


def test_a_database_with_nothing_but_a_view_of_a_tables_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW epochs AS SELECT 1 AS epoch")
    connection.close()
    with pytest.raises(StoreError, match="epochs"):
        Store.open(f"sqlite:///{path}", create=True)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("epochs",)]
    connection.close()


def test_a_schema_that_cannot_be_made_whole_is_not_made_at_all(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE sweeps (id INTEGER)")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_make", half)
        with pytest.raises(KeyboardInterrupt):
            Store.open(empty_url, create=True)
    store = Store.open(empty_url, create=True)
    assert store.sweeps() == []
    store.close()


OLD_ROWS: dict[str, dict[str, Any]] = {
    "sweeps": {
        "name": "old",
        "state": "running",
        "experiment": {"experiment": {"name": "old"}},
        "experiment_text": "[experiment]",
        "facts": {"versions": {}},
        "created_at": NOW,
        "updated_at": NOW,
        "owner_host": "elsewhere",
        "owner_pid": 1,
        "owner_started": 1.0,
        "lease_token": 7,
        "lease_expires": 2.0,
        "version": 3,
    },
    "trials": {
        "sweep_id": 1,
        "optimizer": "adam",
        "phase": "search",
        "number": 4,
        "origin": "proposed",
        "independent": True,
        "setting": 4,
        "seed": 2**62,
        "proposal": {"lr": 0.1},
        "params": {"lr": 0.1},
        "state": "complete",
        "attempt": 1,
        "epochs": 1,
        "samples": 200,
        "grad_evals": 4,
        "train_loss": 1 / 3,
        "val_loss": 0.25,
        "queued_at": NOW,
        "finished_at": NOW + timedelta(seconds=1),
    },
    "attempts": {
        "trial_id": 1,
        "attempt": 1,
        "worker": "1/0",
        "node": "host",
        "device": "cpu",
        "first_epoch": 1,
        "started_at": NOW,
        "strike": False,
    },
    "epochs": {
        "trial_id": 1,
        "attempt": 1,
        "epoch": 1,
        "samples": 200,
        "steps": 4,
        "grad_evals": 4,
        "train_loss": 1 / 3,
        "val_loss": 0.25,
        "train_s": 1.0,
        "eval_s": 0.5,
        "recorded_at": NOW,
    },
}
"""A row in each table, of the columns that revision 0001 had."""


@pytest.fixture
def old_url(empty_url: str) -> str:
    """A store as the first release made it, with a trial in it and a lease that ran out."""
    engine = database_of("0001", empty_url)
    with engine.begin() as connection:
        for table, row in OLD_ROWS.items():
            connection.execute(sa.insert(metadata.tables[table]), row)
    engine.dispose()
    return empty_url


def change_sweep(url: str, assignment: str) -> None:
    engine = reading(parse(url))
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE sweeps SET {assignment}"))
    engine.dispose()


def test_an_old_schema_names_the_command_that_helps(old_url: str) -> None:
    for create in (False, True):
        with pytest.raises(StoreError, match=r"schema is 0001.*needs 0003; `sweeper store upgrade --store '"):
            Store.open(old_url, create=create)


def test_an_upgrade_keeps_every_row(old_url: str) -> None:
    assert upgrade(old_url) == ("0001", "0003")
    assert upgrade(old_url) == ("0003", "0003")
    store = Store.open(old_url)
    for name, row in OLD_ROWS.items():
        with store.engine.connect() as connection:
            (found,) = connection.execute(sa.select(metadata.tables[name])).mappings()
        changed = {"lease_token", "lease_expires", "version"}  # no coordinator of the old version writes on
        assert {key: found[key] for key in row if key not in changed} == {
            key: value for key, value in row.items() if key not in changed
        }
    assert store.sweep("old").state is SweepState.INTERRUPTED
    (trial,) = store.trials("old")
    assert (trial.state, trial.val_loss, trial.checkpoint) == (TrialState.COMPLETE, 0.25, None)
    committer = store.take_sweep("old", 30)
    assert committer.lease.token > 7
    store.close()


def test_a_coordinator_that_was_thought_dead_is_fenced_by_an_upgrade(old_url: str) -> None:
    upgrade(old_url)
    store = Store.open(old_url)
    thought_dead = Committer(
        WritingConnection(parse(old_url), 30, store.engine), lease.Lease(1, "old", NOW, 7, 30)
    )
    with pytest.raises(FencedError, match="taken over"):
        thought_dead.commit([])
    with pytest.raises(FencedError):
        thought_dead.release()
    store.close()


def test_a_store_is_not_upgraded_while_a_sweep_is_run(old_url: str) -> None:
    change_sweep(old_url, "lease_expires = 1e11")
    with pytest.raises(LeaseHeldError, match="sweep 'old' is being run by process 1 on elsewhere") as caught:
        upgrade(old_url)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="schema is 0001"):
        Store.open(old_url)


def test_an_sqlite_file_that_does_not_exist_is_not_made_by_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(NotFoundError, match="there is none yet"):
        upgrade(f"sqlite:///{path}")
    assert not path.exists()


@pytest.mark.postgres
def test_an_upgrade_makes_an_empty_postgresql_database_a_store_once(
    postgres_server: "PostgresServer",
) -> None:
    url = postgres_server.empty_url()
    assert upgrade(url) == ("", migrate.HEAD)
    assert upgrade(url) == (migrate.HEAD, migrate.HEAD)
    store = Store.open(url)
    assert store.sweeps() == []
    store.close()
