"""Opens the database: connection settings, schema check, and errors in Sweeper's own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import StaticPool

from sweeper.errors import StoreAwayError, StoreError
from sweeper.store import schema

DEFAULT_URL = "sqlite:///sweeper.db"
EMPTY = ""
"""The revision of a database without any table."""

HEAD = "0002"
"""The newest migration; a test holds it against `migrations/`."""

BUSY_TIMEOUT_S = 20
"""How long SQLite waits for another writer: below the default lease, so that a stuck one is noticed."""


def parse_url(text: str) -> sa.URL:
    """The database URL written as `text`. Raises StoreError where it is none that Sweeper can open."""
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise StoreError(f"store {text!r}: not a database URL; legal: sqlite:///PATH") from None
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise StoreError(
            f"store {shown(url)}: {url.drivername} is not yet in this version; legal: sqlite:///PATH"
        )
    if url.host or url.query:
        raise StoreError(f"store {shown(url)}: a host or options mean nothing here; legal: sqlite:///PATH")
    return url


def shown(url: sa.URL) -> str:
    """The URL as it may be printed: without its password."""
    return url.render_as_string(hide_password=True)


def exists(url: sa.URL) -> bool:
    """Whether there is a database at `url` to be read: a file with something in it."""
    if not url.database or url.database == ":memory:":
        return True
    try:
        return Path(url.database).stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"store {shown(url)}: {error.strerror}") from None


def connect(url: sa.URL) -> sa.Engine:
    """An engine for `url` whose connections are durable and don't block readers.

    WAL lets readers go on while the one writer writes; `synchronous=FULL` makes a commit survive a power cut.
    """
    in_memory = not url.database or url.database == ":memory:"
    pool: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    engine = sa.create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}, **pool
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def ensure_schema(engine: sa.Engine) -> None:
    """Create the tables in an empty database; refuse one whose schema this version doesn't know.

    Two processes may come at the same moment: whoever holds the write lock looks again before it creates, and
    creates all or nothing.
    """
    with translated(engine.url):
        revision = _read_revision(engine)
        if revision == EMPTY:
            _create_once(engine)
            revision = _read_revision(engine)
    if revision != HEAD:
        raise StoreError(
            f"store {shown(engine.url)}: its schema is {revision or 'not one of Sweeper'}, but this version "
            f"of Sweeper needs {HEAD}; use the version that made it, or another store"
        )


def _read_revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return _revision(connection)


def _create_once(engine: sa.Engine) -> None:
    """Create the tables unless someone else just did, all of them or none."""
    # pysqlite would commit before each CREATE; in autocommit mode the transaction is ours alone.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            if _revision(connection) == EMPTY:
                _create(connection)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _revision(connection: sa.Connection) -> str | None:
    """The schema's revision: EMPTY without any table, None where the tables are not Sweeper's."""
    tables = sa.inspect(connection).get_table_names()
    if "alembic_version" in tables:
        revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return revision
    return None if tables else EMPTY


def _create(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def empty() -> sa.Engine:
    """A store in memory with nothing in it: what a store that doesn't exist yet reads as."""
    engine = connect(sa.make_url("sqlite://"))
    schema.metadata.create_all(engine)
    return engine


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turns the errors of the database, and of damaged values in it, into one-line StoreErrors that name it.

    StoreAwayError where the same may succeed later: the database is locked, or its connection was lost.
    """
    try:
        yield
    except exc.OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        is_away = error.connection_invalidated or "locked" in reason or "busy" in reason
        kind = StoreAwayError if is_away else StoreError
        raise kind(f"store {shown(url)}: {reason}") from error
    except exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StoreError(f"store {shown(url)}: {reason}") from error
    except ValueError as error:  # what the database holds is no JSON, no moment, no text any more
        raise StoreError(f"store {shown(url)}: is damaged: {error}") from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"store {shown(url)}: {str(error).splitlines()[0]}") from error
