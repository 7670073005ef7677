"""Opens the database: engines for reading, and the one connection that writes a sweep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from sweeper.errors import StoreError
from sweeper.store import password, read_only
from sweeper.store.failures import translated
from sweeper.store.schema import metadata
from sweeper.store.url import Location, shown

READER_TIMEOUT_S = 20.0
"""How long a reader waits for a lock, which only a change of schema or a crash's repair ever holds."""

READER_IDLE_S = 120.0
"""How long PostgreSQL keeps what a reader sees that has fallen silent."""

PATIENCE = 0.5
"""Which share of a lease the writer waits for a lock, and a server for a writer that fell silent within a
transaction. A lease is renewed after a third of it: a frozen writer's lock is free before its lease ends,
but for one that is frozen from the first row of a statement with several to the empty query after it."""


def reading(location: Location) -> sa.Engine:
    """An engine for readers, each of whose transactions sees one moment of the store."""
    if location.is_sqlite and location.is_read_only and location.path:
        return read_only.sqlite_engine(location, READER_TIMEOUT_S)
    if location.is_sqlite:
        return _sqlite(location, READER_TIMEOUT_S, "BEGIN")
    engine = _postgresql(location, READER_TIMEOUT_S, isolation_level="REPEATABLE READ", pool_pre_ping=True)
    _set_on_connect(engine, READER_TIMEOUT_S, READER_IDLE_S, read_only=location.is_read_only)
    return engine


class WritingConnection:
    """The only connection of one coordinator that writes, with a patience shorter than its lease.

    `engine` is the readers', which an SQLite database in memory has to share. Raises StoreError where the
    store was opened for reading only.
    """

    def __init__(self, location: Location, lease_s: float, engine: sa.Engine) -> None:
        if location.is_read_only:
            raise StoreError(f"store {shown(location.url)}: it was opened for reading only")
        self._is_shared = location.is_in_memory
        self._location = location
        self._file: tuple[int, int] | None = None
        if self._is_shared:
            self.engine = engine
        elif location.is_sqlite:
            self.engine = _sqlite(location, lease_s * PATIENCE, "BEGIN IMMEDIATE", is_writer=True)
            event.listen(self.engine, "connect", self._remember_file)
        else:
            self.engine = _postgresql(location, lease_s * PATIENCE, pool_size=1, max_overflow=0)
            _set_on_connect(self.engine, lease_s * PATIENCE, lease_s * PATIENCE)
            _let_server_count_silence(self.engine)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction, committed at the end. Raises StoreError in one line, StoreAwayError among them."""
        with translated(self.engine.url):
            self._require_file()
            with self.engine.begin() as connection:
                yield connection
            self._require_file()

    def close(self) -> None:
        """Close the connection; the next transaction, if there is one, opens it again."""
        if not self._is_shared:
            self.engine.dispose()

    def _remember_file(self, _connection: Any, _record: Any) -> None:
        if self._file is None:
            self._file = self._location.identity

    def _require_file(self) -> None:
        """SQLite goes on writing into a file that has been deleted, without any error."""
        if self._file is not None and self._location.identity != self._file:
            raise StoreError(
                f"store {shown(self.engine.url)}: its file was deleted or replaced while it was written; "
                f"put it back, or begin with another store"
            )


def empty() -> sa.Engine:
    """A store in memory with nothing in it: what a store that doesn't exist yet reads as. It stays empty."""
    engine = reading(Location(sa.make_url("sqlite://")))
    metadata.create_all(engine)
    with engine.connect() as connection:  # the only one that the engine has
        connection.exec_driver_sql("PRAGMA query_only=ON")
    return engine


def _sqlite(location: Location, timeout_s: float, begin: str, *, is_writer: bool = False) -> sa.Engine:
    """WAL lets readers go on while one process writes; `synchronous=FULL` lets a commit survive a power cut.

    Transactions are begun here, for Python's sqlite3 begins none for a SELECT: two in a row would see two
    moments.
    """
    engine = sa.create_engine(
        location.url,
        connect_args={"timeout": timeout_s, "check_same_thread": False, "isolation_level": None},
        hide_parameters=True,
        **({"poolclass": StaticPool} if location.is_in_memory else {"pool_size": 1 if is_writer else 5}),
    )
    # WAL stays with the file, so a reader need not ask for it, and leaves a foreign file as it is.
    pragmas = ("foreign_keys=ON", "synchronous=FULL", *(["journal_mode=WAL"] if is_writer else []))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(location: Location, timeout_s: float, **options: Any) -> sa.Engine:
    """Passwords go past the URL, so that no repr, log or error of SQLAlchemy can hold them."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise StoreError(
            f"store {shown(location.url)}: PostgreSQL needs psycopg: pip install 'sweeper[postgres]'"
        ) from None
    probe_s = max(1, int(timeout_s / 3))
    ours = {
        "application_name": "sweeper",
        "connect_timeout": max(2, int(timeout_s)),  # libpq knows no less than 2
        "keepalives_idle": probe_s,
        "keepalives_interval": probe_s,
        "keepalives_count": 2,
        "tcp_user_timeout": int(timeout_s * 1000),
    }
    connect_args = {key: value for key, value in ours.items() if key not in location.url.query}
    engine = sa.create_engine(
        location.url, connect_args={**connect_args, **location.secrets}, hide_parameters=True, **options
    )
    password.read_from_file(engine, location)
    return engine


def _set_on_connect(
    engine: sa.Engine, lock_timeout_s: float, idle_timeout_s: float, *, read_only: bool = False
) -> None:
    """How long a statement waits for a lock, and the server for a client that fell silent in a transaction.

    A server told not to wait for its disk is told to wait for ours, and, if `read_only`, to refuse writes.
    """
    settings = (
        "SELECT set_config('lock_timeout', %s, false),"
        " set_config('idle_in_transaction_session_timeout', %s, false),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
    )
    if read_only:
        settings += ", set_config('default_transaction_read_only', 'on', false)"
    timeouts = [f"{seconds * 1000:.0f}ms" for seconds in (lock_timeout_s, idle_timeout_s)]

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute(settings, timeouts)
        connection.commit()


def _let_server_count_silence(engine: sa.Engine) -> None:
    """Make the server count how long a client is silent after a statement with several rows, too.

    psycopg sends those in a pipeline, which ends with a Sync and then a Flush. PostgreSQL starts its
    `idle_in_transaction_session_timeout` at the Sync, stops it at the Flush, and starts it no more until
    something else has come: a writer frozen then would keep its lock for ever. So an empty query follows.
    """

    @event.listens_for(engine, "after_cursor_execute")
    def say_something(
        _connection: sa.Connection, cursor: Any, _statement: str, _values: Any, _context: Any, is_many: bool
    ) -> None:
        if is_many:
            cursor.connection.execute("")
