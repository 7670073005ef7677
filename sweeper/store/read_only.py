"""An SQLite file that is read and left alone: not a byte of it changes, and no file appears beside it.

SQLite's own read-only mode makes an empty log beside a file that has none and leaves it there; made by
another user, that keeps the next writer out. So a file that nobody writes is read without any log or lock,
and its face, unchanged at the end of each transaction, proves that it was read whole. A file with a log is
read by SQLite's rules.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from sweeper.errors import StoreAwayError, StoreError
from sweeper.store.url import Location, shown

Face = tuple[int, int, int, int]
"""Which file it is, how long, and when it last changed."""


PAUSES_S = (0.01, 0.05, 0.2)
"""How long a writer may take between the steps in which it brings and clears away its log."""


class _Connection(sqlite3.Connection):
    """A connection that knows what it relies on: the file's face, if nobody wrote it; else its locks."""

    at_rest: Face | None = None


def sqlite_engine(location: Location, timeout_s: float) -> sa.Engine:
    """An engine each of whose transactions sees one moment of the file and opens it anew.

    A transaction raises StoreError where the file can't be read without writing, and, at its end,
    StoreAwayError where somebody began to write it meanwhile: what it has read is to be read again.
    """
    path = Path(
        str(location.path)
    ).resolve()  # SQLite keeps the log beside the file itself, not beside a link
    where = shown(location.url)
    # A connection that was kept would keep the last writer from clearing its log away.
    engine = sa.create_engine(
        location.url,
        creator=lambda: _connect(path, where, timeout_s),
        poolclass=NullPool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def require_unchanged(connection: sa.Connection) -> None:
        opened: Any = connection.connection.dbapi_connection
        if opened.at_rest is not None and opened.at_rest != _face(path):
            raise StoreAwayError(f"store {where}: its file was written while it was read; read it again")

    return engine


def _connect(path: Path, where: str, timeout_s: float) -> _Connection:
    """A connection; where a writer is just coming or going, after it is there or gone."""
    for pause_s in (*PAUSES_S, None):
        try:
            if (connection := _opened(path, timeout_s)) is not None:
                return connection
        except (OSError, ValueError) as error:
            raise StoreError(f"store {where}: {getattr(error, 'strerror', error)}") from None
        except sqlite3.OperationalError:
            if pause_s is None:
                raise
        if pause_s is not None:
            time.sleep(pause_s)
    raise StoreError(
        f"store {where}: {path.name}-wal holds commits and has no {path.name}-shm beside it; "
        f"`sweeper list --store '{where}'`, as a user who may write there, takes them in"
    )


def _opened(path: Path, timeout_s: float) -> _Connection | None:
    """A connection as the files beside the database ask for it; None where a log has no index.

    A log that is cleared away between the look and the first read is made anew, empty: nothing prevents it.
    """
    face = _face(path)
    is_logged = _size(path, "-wal") > 0
    is_at_rest = not is_logged and _size(path, "-journal") == 0
    if is_logged and _size(path, "-shm") == 0:
        return None
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro{'&immutable=1' if is_at_rest else ''}",
        uri=True,
        timeout=timeout_s,
        check_same_thread=False,
        isolation_level=None,
        factory=_Connection,
    )
    connection.at_rest = face if is_at_rest else None
    if not is_at_rest:
        try:
            connection.execute("SELECT 1 FROM sqlite_master").close()  # from here on its log stays
        except BaseException:
            connection.close()
            raise
    return connection


def _face(path: Path) -> Face:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _size(path: Path, ending: str) -> int:
    """The bytes of the file that SQLite keeps beside the database; 0 where there is none.

    Only looked at, never opened: closing a file ends all locks that this process has on it.
    """
    try:
        return path.with_name(path.name + ending).stat().st_size
    except FileNotFoundError:
        return 0
