import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sweeper.errors import StoreError
from sweeper.store import Store, engine
from sweeper.store.schema import metadata


def test_the_migrations_build_the_tables_that_the_code_uses(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration(store: Store) -> None:
    with store.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == engine.HEAD


def test_a_store_that_does_not_exist_reads_as_empty_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "absent.db"
    store = Store.open(f"sqlite:///{path}")
    assert store.sweeps() == []
    assert not path.exists()
    store.close()


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match=r"other\.db: its schema is not one of Sweeper"):
        Store.open(f"sqlite:///{path}", create=True)


def test_a_newer_schema_is_refused_with_both_revisions(store: Store, tmp_path: Path) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="schema is 9999, but this version of Sweeper needs 0002"):
        Store.open(f"sqlite:///{tmp_path / 'store.db'}")


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(StoreError, match=r"text\.db: file is not a database") as caught:
        Store.open(f"sqlite:///{path}")
    assert "\n" not in str(caught.value)


def test_a_directory_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open database file"):
        Store.open(f"sqlite:///{tmp_path / 'no' / 'such.db'}", create=True)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:secret@host/db",
        "postgresql://u:secret@host/db",
        "sqlite+aiosqlite:///x.db",
        "sqlite://host/x.db",
        "sqlite:///file:x.db?uri=true",
    ],
)
def test_a_url_that_cannot_be_opened_names_the_legal_form_and_no_password(url: str) -> None:
    with pytest.raises(StoreError, match="legal: sqlite:///PATH") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_commits_survive_a_power_cut_and_do_not_block_readers(store: Store) -> None:
    with store.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


def test_two_processes_may_make_a_store_at_the_same_moment(tmp_path: Path) -> None:
    code = "import sys; from sweeper.store import Store; Store.open(sys.argv[1], create=True)"
    for attempt in range(3):
        url = f"sqlite:///{tmp_path / f'{attempt}.db'}"
        both = [subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE) for _ in range(2)]
        errors = [process.communicate(timeout=60)[1].decode() for process in both]
        assert [process.returncode for process in both] == [0, 0], errors


def test_an_empty_file_reads_as_an_empty_store_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    store = Store.open(f"sqlite:///{path}")
    assert store.sweeps() == []
    store.close()
    assert path.stat().st_size == 0


def test_a_schema_that_cannot_be_made_whole_is_not_made_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE sweeps (id INTEGER)")
        raise KeyboardInterrupt

    url = f"sqlite:///{tmp_path / 'half.db'}"
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_create", half)
        with pytest.raises(KeyboardInterrupt):
            Store.open(url, create=True)
    store = Store.open(url, create=True)
    assert store.sweeps() == []
    store.close()
