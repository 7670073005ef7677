"""The databases' errors in Sweeper's own words: one line that names the store and never a password."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from sweeper.errors import StoreAwayError, StoreError
from sweeper.store.url import shown

SQLITE_AWAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
SQLITE_HINTS = {
    sqlite3.SQLITE_CANTOPEN: "its directory must exist, and be writable",
    sqlite3.SQLITE_READONLY: "its file and directory must be writable, and it not opened for reading only",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
}

POSTGRESQL_AWAY = (
    "08",  # connection lost
    "40",  # serialization failure, deadlock
    "25P03",  # idle in transaction for too long: this process was frozen
    "53300",  # too many connections
    "55P03",  # lock timeout
    "57014",  # statement cancelled
    "57P",  # the server is starting, stopping, or has ended the connection
)
"""SQLSTATEs, or their beginnings, after which the same may succeed later."""

NO_STATE_LASTING = re.compile(
    r"FATAL: |no password supplied|certificate|does not support SSL|^(connection is bad: )?invalid "
)
NO_STATE_AWAY = re.compile(
    r"starting up|shutting down|recovery mode|not (yet )?accepting|terminating connection"
    r"|too many|connection slots"
)
"""psycopg gives no SQLSTATE where a connection is refused; only its words tell a wrong password from a
server that is down."""


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turns the database's errors, and damaged values in it, into StoreError: one line that names the store.

    StoreAwayError where the same may succeed later: the database is locked, or its connection was lost.
    """
    try:
        yield
    except exc.DBAPIError as error:
        kind = StoreAwayError if _is_away(error) else StoreError
        raise kind(f"store {shown(url)}: {_reason(error.orig)}") from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"store {shown(url)}: {_first_line(error)}") from error
    except ValueError as error:  # what the database holds is no JSON, no moment, no text any more
        raise StoreError(f"store {shown(url)}: is damaged: {_first_line(error)}") from error


def _is_away(error: exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in SQLITE_AWAY
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(POSTGRESQL_AWAY)
    if not isinstance(error, exc.OperationalError):
        return False
    text = str(error.orig)
    return bool(NO_STATE_AWAY.search(text)) or not NO_STATE_LASTING.search(text)


def _reason(error: Any) -> str:
    reason = _first_line(error)
    for noise in ("connection failed: ", "connection is bad: "):
        reason = reason.removeprefix(noise)
    hint = SQLITE_HINTS.get(_sqlite_code(error)) if isinstance(error, sqlite3.Error) else None
    return f"{reason}; {hint}" if hint else reason


def _sqlite_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split()) if lines else type(error).__name__
