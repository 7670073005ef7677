"""The central store, for reading, and for creating, taking and deleting sweeps."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sweeper.crashpoints import Point, reach
from sweeper.errors import NotFoundError, StoreAwayError, SweepExistsError
from sweeper.records import EpochRecord, StoredTrial, SweepInfo, SweepState, TrialKey, TrialState
from sweeper.store import bulk, lease, migrate, queries, stored
from sweeper.store import engine as database
from sweeper.store.commit import Committer
from sweeper.store.engine import WritingConnection
from sweeper.store.failures import translated
from sweeper.store.schema import attempts, sweeps, trials
from sweeper.store.url import DEFAULT_URL, Location, parse, shown

IMPORT_S = 300.0
"""How long the transaction of an import may take."""

STOP_S = 30.0
"""How long a request to stop may wait for the database, as if it were a lease."""

DELETION_S = 30.0
"""The lease under which a sweep is deleted."""


class Store:
    """One database. Reading needs no lease and never blocks the writer.

    Open it with `Store.open`.
    """

    def __init__(self, engine: sa.Engine, location: Location, *, is_missing: bool = False) -> None:
        self.engine = engine
        self.is_missing = is_missing
        """Whether there is no database yet, and an empty one stands in for it."""
        self.url = shown(location.url)
        """Where the store is, fit to be printed."""
        self._location = location
        self._writing: list[WritingConnection] = []

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    @classmethod
    def open(cls, url: str = DEFAULT_URL, *, create: bool = False, read_only: bool = False) -> "Store":
        """The store at the database URL `url`; one that doesn't exist is made, or, to be read, is empty.

        With `read_only` the database refuses every write, and no file is made or changed. One that was empty
        stays so: open it again to see what has been made since. Raises StoreError where it can't be opened or
        has a schema that this version doesn't know.
        """
        if create and read_only:
            raise ValueError("a store that is opened for reading only can't be made")
        location = replace(parse(url), is_read_only=read_only)
        makes = create or (location.is_in_memory and not read_only)
        if makes or location.exists:
            engine = database.reading(location)
            try:
                if migrate.ensure_schema(engine, location, create=makes):
                    return cls(engine, location)
            except BaseException:
                engine.dispose()
                raise
            engine.dispose()
        return cls(database.empty(), location, is_missing=True)

    def close(self) -> None:
        """Close all connections, those of its sweeps' committers too."""
        self.engine.dispose()
        for writing in self._writing:
            writing.close()

    def require_unused(self, name: str) -> None:
        """Raises SweepExistsError where a sweep is called `name`."""
        query = sa.select(sweeps.c.id).where(sweeps.c.name == name)
        with translated(self.engine.url), self.engine.connect() as connection:
            if connection.execute(query).first() is not None:
                raise _exists(name)

    def create_sweep(
        self, name: str, experiment: Mapping[str, Any], text: str, facts: Mapping[str, Any], lease_s: float
    ) -> Committer:
        """A new sweep called `name`, with its lease taken by this process.

        Raises SweepExistsError where the name is taken.
        """
        now = datetime.now(UTC)
        row = {
            "name": name,
            "state": SweepState.RUNNING.value,
            "experiment": experiment,
            "experiment_text": text,
            "facts": facts,
            "created_at": now,
            "updated_at": now,
            "lease_token": 0,
            "version": 0,
        }
        with self._writes(lease_s) as writing:
            with writing.begin() as connection:
                try:
                    connection.execute(sweeps.insert(), row)
                except IntegrityError:
                    raise _exists(name) from None
                taken = lease.acquire(connection, name, lease_s)
            reach(Point.LEASE_TAKEN)
            return Committer(writing, taken)

    def import_sweep(
        self,
        sweep: Mapping[str, Any],
        trial_rows: Sequence[Mapping[str, Any]],
        attempt_rows: Sequence[Mapping[str, Any]],
        epoch_rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """A new, complete sweep of results from elsewhere, whole or not at all; see `bulk`.

        Raises SweepExistsError where the name is taken.
        """
        self.require_unused(sweep["name"])
        with self._writes(IMPORT_S) as writing:
            with writing.begin() as connection:
                try:
                    sweep_id = bulk.insert_sweep(connection, sweep, datetime.now(UTC))
                except IntegrityError:
                    raise _exists(sweep["name"]) from None
                bulk.insert_rows(connection, sweep_id, trial_rows, attempt_rows, epoch_rows)
            writing.close()

    def take_sweep(self, name: str, lease_s: float) -> Committer:
        """The existing sweep `name`, with its lease taken by this process; see `lease.acquire`.

        Attempts that a dead coordinator left open are closed, without a strike, their trials queued again.
        """
        self.require_free(name)
        with self._writes(lease_s) as writing:
            with self._suspecting(name), writing.begin() as connection:
                taken = lease.acquire(connection, name, lease_s)
                _close_orphans(connection, taken.sweep_id)
            reach(Point.LEASE_TAKEN)
            return Committer(writing, taken)

    def ask_to_stop(self, name: str) -> str | None:
        """Ask the coordinator that runs the sweep `name` to stop: who that is, None where nobody runs it.

        Raises NotFoundError.
        """
        self.sweep(name)  # a store that doesn't exist is not made for this
        with self._writes(STOP_S) as writing:
            with self._suspecting(name), writing.begin() as connection:
                asked = lease.ask_to_stop(connection, name)
            writing.close()
        return str(asked) if asked else None

    def delete_sweep(self, name: str) -> None:
        """Delete the sweep `name` and all that the store knows of it, under its lease.

        Raises NotFoundError, and LeaseHeldError where a coordinator lives.
        """
        self.require_free(name)
        with self._writes(DELETION_S) as writing:
            with self._suspecting(name), writing.begin() as connection:
                taken = lease.acquire(connection, name, DELETION_S)
                connection.execute(sa.delete(sweeps).where(sweeps.c.id == taken.sweep_id))
            writing.close()

    def require_free(self, name: str) -> None:
        """Raises LeaseHeldError while a coordinator runs the sweep `name`, NotFoundError where there is none.

        A look before writing: a holder may be within a transaction, for whose lock a writer would wait.
        """
        with translated(self.engine.url), self.engine.connect() as connection:
            lease.require_free(connection, name)

    @contextmanager
    def _writes(self, lease_s: float) -> Iterator[WritingConnection]:
        """A writing connection, closed with the store, or at once where taking a sweep fails."""
        writing = WritingConnection(self._location, lease_s, self.engine)
        try:
            yield writing
        except BaseException:
            writing.close()
            raise
        self._writing.append(writing)

    @contextmanager
    def _suspecting(self, name: str) -> Iterator[None]:
        """Where the store is locked, name the process that may be frozen within its transaction."""
        try:
            yield
        except StoreAwayError as error:
            last = self._last_owner(name) if " lock" in str(error) else None
            if last is None or last == lease.this_process() or last.is_gone:
                raise
            hint = f"perhaps by {last}, which held sweep {name!r} last: wake it, or end it"
            raise StoreAwayError(f"{error}; {hint}") from error

    def _last_owner(self, name: str) -> lease.Owner | None:
        query = sa.select(sweeps).where(sweeps.c.name == name)
        with translated(self.engine.url), self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return lease.owner(row) if row else None

    def sweeps(self) -> list[SweepInfo]:
        """Every sweep, newest first."""
        newest = sa.select(sweeps, lease.NOW.label("now")).order_by(
            sweeps.c.created_at.desc(), sweeps.c.id.desc()
        )
        return self._infos(newest)

    def sweep(self, name: str) -> SweepInfo:
        """The sweep called `name`. Raises NotFoundError."""
        infos = self._infos(sa.select(sweeps, lease.NOW.label("now")).where(sweeps.c.name == name))
        if not infos:
            raise NotFoundError(f"no sweep is called {name!r} in {self.url}; `sweeper list` shows them all")
        return infos[0]

    def _infos(self, query: sa.Select[Any]) -> list[SweepInfo]:
        with translated(self.engine.url), self.engine.connect() as connection:
            found = list(connection.execute(query).mappings())
            counted = (
                sa.select(trials.c.sweep_id, trials.c.state, sa.func.count().label("n"))
                .where(trials.c.sweep_id.in_([row["id"] for row in found]))
                .group_by(trials.c.sweep_id, trials.c.state)
            )
            counts: dict[int, Counter[str]] = {}
            for row in connection.execute(counted):
                counts.setdefault(row.sweep_id, Counter())[row.state] = row.n
            return [stored.sweep_info(row, counts.get(row["id"], Counter())) for row in found]

    def trials(self, name: str) -> list[StoredTrial]:
        """The sweep's trials in the order in which they were planned."""
        with translated(self.engine.url), self.engine.connect() as connection:
            return queries.trials_of(connection, name)

    def records(self, name: str) -> dict[TrialKey, tuple[EpochRecord, ...]]:
        """What unfinished trials with a checkpoint have recorded up to it, by epoch.

        Of an epoch that several attempts trained, the latest up to the checkpoint's counts.
        """
        with translated(self.engine.url), self.engine.connect() as connection:
            return queries.records(connection, name)

    def curves(self, name: str, objective: str) -> dict[TrialKey, dict[int, float]]:
        """Each search trial's recorded `objective` by epoch, ascending; unevaluated epochs are left out.

        Of an epoch that several attempts trained, the latest counts.
        """
        with translated(self.engine.url), self.engine.connect() as connection:
            return queries.curves(connection, name, objective)

    def spent_s(self, name: str) -> float:
        """Seconds in which at least one attempt of the sweep was under way.

        An attempt whose coordinator died counts up to its last record: nobody knows when it ended.
        """
        with translated(self.engine.url), self.engine.connect() as connection:
            return queries.spent_s(connection, name)


def _exists(name: str) -> SweepExistsError:
    return SweepExistsError(
        f"a sweep called {name!r} exists: `sweeper resume {name}` goes on with it, "
        f"`sweeper run FILE --name OTHER` makes another"
    )


def _close_orphans(connection: sa.Connection, sweep_id: int) -> None:
    mine = trials.c.sweep_id == sweep_id
    in_sweep = attempts.c.trial_id.in_(sa.select(trials.c.id).where(mine))
    closed = {"ended_at": datetime.now(UTC), "why": queries.ORPHANED}
    connection.execute(sa.update(attempts).where(in_sweep, attempts.c.ended_at.is_(None)).values(**closed))
    running = mine & (trials.c.state == TrialState.RUNNING.value)
    connection.execute(sa.update(trials).where(running).values(state=TrialState.QUEUED.value))
