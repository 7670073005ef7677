"""The lease: which one process coordinates a sweep, and how every other one is kept from writing.

A sweep's row holds its owner, a token that only grows and an expiry by the database's clock. Every write
transaction begins with `renew`; where that touches no row, this coordinator was replaced and must stop.
Reading the token first and writing then would fence on no database: the takeover may come in between.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from sweeper.errors import FencedError, LeaseHeldError, NotFoundError
from sweeper.records import SweepState
from sweeper.store.schema import sweeps


class _Now(sa.sql.functions.FunctionElement[float]):
    type = sa.Double()
    inherit_cache = True
    name = "now_s"


@compiles(_Now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    # Not now(): that is when the transaction began, which may have waited long for a lock since.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


NOW = _Now()
"""The database's clock as Unix time, in seconds."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from a later one with the same id by the moment it started (Unix time)."""

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        """`process 123 on host`."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_gone(self) -> bool:
        """Whether the process ran on this host and no longer does. False for other hosts: nobody knows."""
        if self.host != socket.gethostname():
            return False
        try:
            # Rounding moves start times by less than a second; process ids are not reused so fast.
            process = psutil.Process(self.pid)
            is_another = abs(process.create_time() - self.started) > 1
            return is_another or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def this_process() -> Owner:
    """The process that runs this."""
    process = psutil.Process()
    return Owner(socket.gethostname(), process.pid, process.create_time())


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one sweep, as long as nobody takes it over.

    `created_at` is the sweep's: SQLite gives the id of a deleted sweep to the next one.
    """

    sweep_id: int
    sweep: str
    created_at: datetime
    token: int
    duration_s: float


def owner(row: sa.RowMapping) -> Owner | None:
    """Who took the sweep of this row of `sweeps` last and has not given it up."""
    if row["lease_expires"] is None or row["owner_pid"] is None:
        return None
    return Owner(row["owner_host"], row["owner_pid"], row["owner_started"])


def holder(row: sa.RowMapping, now: float) -> Owner | None:
    """Who holds the sweep of this row of `sweeps`, or None where nobody alive does."""
    last = owner(row)
    return None if last is None or row["lease_expires"] <= now or last.is_gone else last


def require_free(connection: sa.Connection, sweep: str) -> sa.RowMapping:
    """The sweep's row, if its lease can be taken.

    Raises NotFoundError where there is no such sweep, LeaseHeldError where another coordinator lives.
    """
    row = _row(connection, sweep)
    if (other := holder(row, row["now"])) is not None:
        since = f" since {row['owner_since']:%Y-%m-%d %H:%M:%S} UTC" if row["owner_since"] else ""
        raise LeaseHeldError(
            f"sweep {sweep!r} is being run by {other}{since}; its lease has "
            f"{row['lease_expires'] - row['now']:.0f} s to go"
        )
    return row


def _row(connection: sa.Connection, sweep: str) -> sa.RowMapping:
    """The sweep's row, and the database's time as `now`."""
    query = sa.select(sweeps, NOW.label("now")).where(sweeps.c.name == sweep)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"no sweep is called {sweep!r}; `sweeper list` shows them all")
    return row


def acquire(connection: sa.Connection, sweep: str, duration_s: float) -> Lease:
    """Take the sweep's lease: a free one, an expired one, or one whose holder's process is gone.

    Raises NotFoundError where there is no such sweep, LeaseHeldError where another coordinator lives.
    """
    row = require_free(connection, sweep)
    me = this_process()
    # A holder that was only slow may have renewed since the row was read: its version tells.
    unchanged = (sweeps.c.id == row["id"]) & (sweeps.c.version == row["version"])
    taken = connection.execute(
        sa.update(sweeps)
        .where(unchanged)
        .values(
            state=SweepState.RUNNING.value,
            owner_host=me.host,
            owner_pid=me.pid,
            owner_started=me.started,
            owner_since=datetime.now(UTC),
            lease_token=sweeps.c.lease_token + 1,
            lease_expires=NOW + duration_s,
            version=sweeps.c.version + 1,
        )
    )
    if taken.rowcount != 1:
        raise LeaseHeldError(f"sweep {sweep!r} was just taken or renewed by another coordinator")
    return Lease(row["id"], sweep, row["created_at"], row["lease_token"] + 1, duration_s)


def renew(connection: sa.Connection, lease: Lease) -> bool:
    """The first statement of every write transaction: proves the lease and prolongs it.

    Tells whether its holder is asked to stop. Raises FencedError where another coordinator has taken the
    sweep since, or it was deleted.
    """
    row = _update(connection, lease, _RENEW, {"lasts_s": lease.duration_s})
    return bool(row.stop_token == lease.token)


def ask_to_stop(connection: sa.Connection, sweep: str) -> Owner | None:
    """Ask the sweep's coordinator to stop, which it sees at its next write: who that is, None where nobody.

    The request is to the holder of this lease and means nothing to the next one, so that resuming is no
    contradiction. Raises NotFoundError where there is no such sweep.
    """
    row = _row(connection, sweep)
    asked = holder(row, row["now"])
    if asked is not None:
        this = (sweeps.c.id == row["id"]) & (sweeps.c.lease_token == row["lease_token"])
        connection.execute(sa.update(sweeps).where(this).values(stop_token=sweeps.c.lease_token))
    return asked


def release(connection: sa.Connection, lease: Lease) -> None:
    """Give the lease up, so that the next coordinator need not wait for its end."""
    _update(connection, lease, _MINE, {"lease_expires": None})


# Built once, for they run with every commit: that takes longer than to run them.
_THIS = (sweeps.c.id == sa.bindparam("of_sweep")) & (sweeps.c.created_at == sa.bindparam("of_created_at"))
_MINE = (
    sa.update(sweeps)
    .where(_THIS, sweeps.c.lease_token == sa.bindparam("of_token"))
    .values(version=sweeps.c.version + 1)
    .returning(sweeps.c.stop_token)
)
_RENEW = _MINE.values(lease_expires=NOW + sa.bindparam("lasts_s", type_=sa.Double()))


def _update(
    connection: sa.Connection,
    lease: Lease,
    update: "sa.sql.dml.ReturningUpdate[Any]",
    values: Mapping[str, object],
) -> "sa.Row[Any]":
    this = {"of_sweep": lease.sweep_id, "of_created_at": lease.created_at}
    now = {"of_token": lease.token, "updated_at": datetime.now(UTC)}
    if (row := connection.execute(update, {**this, **now, **values}).first()) is not None:
        return row
    is_there = connection.execute(sa.select(sweeps.c.id).where(_THIS), this).first() is not None
    why = "another coordinator has taken over" if is_there else "it was deleted"
    raise FencedError(f"sweep {lease.sweep!r}: {why}; this coordinator stops and writes nothing")
