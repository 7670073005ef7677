"""The lease: which one process coordinates a sweep, and how every other one is kept from writing.

A sweep's row holds its owner, a token that only grows and an expiry by the database's clock. Every write
transaction begins with `renew`; where that touches no row, this coordinator was replaced and must stop.
Reading the token first and writing then would fence on no database: the takeover may come in between.
"""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import sqlalchemy as sa

from sweeper.errors import FencedError, LeaseHeldError, NotFoundError
from sweeper.records import SweepState
from sweeper.store.schema import sweeps

NOW: sa.ColumnElement[float] = sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Double)
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
            return abs(psutil.Process(self.pid).create_time() - self.started) > 1
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
    """The right to write one sweep, as long as nobody takes it over."""

    sweep_id: int
    sweep: str
    token: int
    duration_s: float


def holder(row: sa.RowMapping, now: float) -> Owner | None:
    """Who holds the sweep of this row of `sweeps`, or None where nobody alive does."""
    if row["lease_expires"] is None or row["owner_pid"] is None:
        return None
    owner = Owner(row["owner_host"], row["owner_pid"], row["owner_started"])
    return None if row["lease_expires"] <= now or owner.is_gone else owner


def acquire(connection: sa.Connection, sweep: str, duration_s: float) -> Lease:
    """Take the sweep's lease: a free one, an expired one, or one whose holder's process is gone.

    Raises NotFoundError where there is no such sweep, LeaseHeldError where another coordinator lives.
    """
    row = (
        connection.execute(sa.select(sweeps, NOW.label("now")).where(sweeps.c.name == sweep))
        .mappings()
        .first()
    )
    if row is None:
        raise NotFoundError(f"no sweep is called {sweep!r}; `sweeper list` shows them all")
    if (owner := holder(row, row["now"])) is not None:
        raise LeaseHeldError(
            f"sweep {sweep!r} is being run by {owner}, whose lease has "
            f"{row['lease_expires'] - row['now']:.0f} s to go"
        )
    me = this_process()
    taken = connection.execute(
        sa.update(sweeps)
        .where(sweeps.c.id == row["id"], sweeps.c.lease_token == row["lease_token"])
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
        raise LeaseHeldError(f"sweep {sweep!r} was just taken by another coordinator")
    return Lease(row["id"], sweep, row["lease_token"] + 1, duration_s)


def renew(connection: sa.Connection, lease: Lease) -> None:
    """The first statement of every write transaction: proves the lease and prolongs it.

    Raises FencedError where another coordinator has taken the sweep since.
    """
    _update(connection, lease, lease_expires=NOW + lease.duration_s, version=sweeps.c.version + 1)


def release(connection: sa.Connection, lease: Lease) -> None:
    """Give the lease up, so that the next coordinator need not wait for its end."""
    _update(connection, lease, lease_expires=None, version=sweeps.c.version + 1)


def _update(connection: sa.Connection, lease: Lease, **values: object) -> None:
    mine = (sweeps.c.id == lease.sweep_id) & (sweeps.c.lease_token == lease.token)
    values["updated_at"] = datetime.now(UTC)
    if connection.execute(sa.update(sweeps).where(mine).values(**values)).rowcount != 1:
        raise FencedError(
            f"sweep {lease.sweep!r}: another coordinator has taken over; this one stops and writes nothing"
        )
