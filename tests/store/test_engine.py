import sqlite3
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
    with pytest.raises(StoreError, match="schema is 9999, but this version of Sweeper needs 0001"):
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


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@host/db", "postgresql://u:secret@host/db"])
def test_a_url_that_cannot_be_opened_names_the_legal_form_and_no_password(url: str) -> None:
    with pytest.raises(StoreError, match="legal: sqlite:///PATH") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_commits_survive_a_power_cut_and_do_not_block_readers(store: Store) -> None:
    with store.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
