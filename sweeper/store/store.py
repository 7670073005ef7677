"""The central store, for reading, and for creating, taking and deleting sweeps."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sweeper.crashpoints import Point, reach
from sweeper.errors import NotFoundError, SweepExistsError
from sweeper.records import (
    Checkpoint,
    EpochRecord,
    Origin,
    Phase,
    StoredTrial,
    SweepInfo,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
)
from sweeper.store import engine as database
from sweeper.store import lease
from sweeper.store.commit import Committer
from sweeper.store.schema import attempts, epochs, sweeps, trials

ORPHANED = "its coordinator died"
"""Why an attempt ended that a successor found open."""


class Store:
    """One database. Reading needs no lease and never blocks the writer.

    Open it with `Store.open`.
    """

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self.engine = engine
        self.url = url
        """Where the store is, fit to be printed."""

    @classmethod
    def open(cls, url: str = database.DEFAULT_URL, *, create: bool = False) -> "Store":
        """The store at the database URL `url`; one that doesn't exist is made, or, to be read, is empty.

        Raises StoreError where it can't be opened or has a schema that this version doesn't know.
        """
        parsed = database.parse_url(url)
        if not create and not database.exists(parsed):
            return cls(database.empty(), database.shown(parsed))
        engine = database.connect(parsed)
        database.ensure_schema(engine)
        return cls(engine, database.shown(parsed))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def require_unused(self, name: str) -> None:
        """Raises SweepExistsError where a sweep is called `name`."""
        query = sa.select(sweeps.c.id).where(sweeps.c.name == name)
        with database.translated(self.engine.url), self.engine.connect() as connection:
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
        with database.translated(self.engine.url), self.engine.begin() as connection:
            try:
                connection.execute(sweeps.insert(), row)
            except IntegrityError:
                raise _exists(name) from None
            taken = lease.acquire(connection, name, lease_s)
        reach(Point.LEASE_TAKEN)
        return Committer(self.engine, taken)

    def take_sweep(self, name: str, lease_s: float) -> Committer:
        """The existing sweep `name`, with its lease taken by this process; see `lease.acquire`.

        Attempts that a dead coordinator left open are closed, without a strike, their trials queued again.
        """
        with database.translated(self.engine.url), self.engine.begin() as connection:
            taken = lease.acquire(connection, name, lease_s)
            mine = trials.c.sweep_id == taken.sweep_id
            orphans = attempts.c.trial_id.in_(sa.select(trials.c.id).where(mine)) & attempts.c.ended_at.is_(
                None
            )
            closed = {"ended_at": datetime.now(UTC), "why": ORPHANED}
            connection.execute(sa.update(attempts).where(orphans).values(**closed))
            running = mine & (trials.c.state == TrialState.RUNNING.value)
            connection.execute(sa.update(trials).where(running).values(state=TrialState.QUEUED.value))
        reach(Point.LEASE_TAKEN)
        return Committer(self.engine, taken)

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
        counted = sa.select(trials.c.sweep_id, trials.c.state, sa.func.count().label("n")).group_by(
            trials.c.sweep_id, trials.c.state
        )
        with database.translated(self.engine.url), self.engine.connect() as connection:
            rows = list(connection.execute(query).mappings())
            counts: dict[int, Counter[str]] = {}
            for row in connection.execute(counted):
                counts.setdefault(row.sweep_id, Counter())[row.state] = row.n
            return [_info(row, counts.get(row["id"], Counter())) for row in rows]

    def trials(self, name: str) -> list[StoredTrial]:
        """The sweep's trials in the order in which they were planned."""
        strikes = (
            sa.select(sa.func.count())
            .where(attempts.c.trial_id == trials.c.id, attempts.c.strike)
            .scalar_subquery()
        )
        query = (
            sa.select(trials, strikes.label("strikes"))
            .join(sweeps, sweeps.c.id == trials.c.sweep_id)
            .where(sweeps.c.name == name)
            .order_by(trials.c.id)
        )
        with database.translated(self.engine.url), self.engine.connect() as connection:
            return [_stored_trial(row) for row in connection.execute(query).mappings()]

    def records(self, name: str) -> dict[TrialKey, tuple[EpochRecord, ...]]:
        """What unfinished trials with a checkpoint have recorded up to it, by epoch.

        Of an epoch that several attempts trained, the latest up to the checkpoint's counts.
        """
        query = (
            sa.select(trials.c.optimizer, trials.c.phase, trials.c.number, epochs)
            .join(trials, trials.c.id == epochs.c.trial_id)
            .join(sweeps, sweeps.c.id == trials.c.sweep_id)
            .where(
                sweeps.c.name == name,
                trials.c.state.in_((TrialState.QUEUED.value, TrialState.RUNNING.value)),
                epochs.c.epoch <= trials.c.checkpoint_epoch,
                epochs.c.attempt <= trials.c.checkpoint_attempt,
            )
            .order_by(trials.c.id, epochs.c.epoch, epochs.c.attempt)
        )
        found: dict[TrialKey, dict[int, EpochRecord]] = {}
        with database.translated(self.engine.url), self.engine.connect() as connection:
            for row in connection.execute(query).mappings():
                key = TrialKey(row["optimizer"], Phase(row["phase"]), row["number"])
                found.setdefault(key, {})[row["epoch"]] = _record(row)
        return {key: tuple(by_epoch.values()) for key, by_epoch in found.items()}

    def curves(self, name: str, objective: str) -> dict[TrialKey, dict[int, float]]:
        """Each search trial's recorded `objective` by epoch, ascending; unevaluated epochs are left out.

        Of an epoch that several attempts trained, the latest counts.
        """
        value = epochs.c[objective]
        query = (
            sa.select(trials.c.optimizer, trials.c.number, epochs.c.epoch, value)
            .join(trials, trials.c.id == epochs.c.trial_id)
            .join(sweeps, sweeps.c.id == trials.c.sweep_id)
            .where(sweeps.c.name == name, trials.c.phase == Phase.SEARCH.value, value.is_not(None))
            .order_by(trials.c.id, epochs.c.epoch, epochs.c.attempt)
        )
        curves: dict[TrialKey, dict[int, float]] = {}
        with database.translated(self.engine.url), self.engine.connect() as connection:
            for optimizer, number, epoch, recorded in connection.execute(query):
                curves.setdefault(TrialKey(optimizer, Phase.SEARCH, number), {})[epoch] = recorded
        return curves

    def spent_s(self, name: str) -> float:
        """Seconds in which at least one attempt of the sweep was under way.

        An attempt whose coordinator died counts up to its last record: nobody knows when it ended.
        """
        last_record = (
            sa.select(sa.func.max(epochs.c.recorded_at))
            .where(epochs.c.trial_id == attempts.c.trial_id, epochs.c.attempt == attempts.c.attempt)
            .scalar_subquery()
        )
        query = (
            sa.select(attempts.c.started_at, attempts.c.ended_at, attempts.c.why, last_record)
            .join(trials, trials.c.id == attempts.c.trial_id)
            .join(sweeps, sweeps.c.id == trials.c.sweep_id)
            .where(sweeps.c.name == name)
            .order_by(attempts.c.started_at)
        )
        total, until = 0.0, datetime.min.replace(tzinfo=UTC)
        with database.translated(self.engine.url), self.engine.connect() as connection:
            for started, ended, why, recorded in connection.execute(query):
                is_orphan = ended is None or why == ORPHANED
                end = (recorded or started) if is_orphan else ended
                total += max((end - max(started, until)).total_seconds(), 0.0)
                until = max(until, end)
        return total


def _exists(name: str) -> SweepExistsError:
    return SweepExistsError(
        f"a sweep called {name!r} exists: `sweeper resume {name}` goes on with it, "
        f"`sweeper run FILE --name OTHER` makes another"
    )


def _info(row: sa.RowMapping, counts: Mapping[str, int]) -> SweepInfo:
    owner = lease.holder(row, row["now"])
    state = SweepState(row["state"])
    if state is SweepState.RUNNING and owner is None:
        state = SweepState.INTERRUPTED
    return SweepInfo(
        name=row["name"],
        state=state,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        trials={str(s): counts.get(s, 0) for s in TrialState},
        holder=str(owner) if owner else None,
        held_since=row["owner_since"] if owner else None,
        experiment=row["experiment"],
        experiment_text=row["experiment_text"],
        facts=row["facts"],
    )


def _stored_trial(row: sa.RowMapping) -> StoredTrial:
    trial = Trial(
        key=TrialKey(row["optimizer"], Phase(row["phase"]), row["number"]),
        seed=row["seed"],
        params=row["params"],
        proposal=row["proposal"],
        origin=Origin(row["origin"]),
        independent=row["independent"],
        setting=row["setting"],
    )
    return StoredTrial(
        trial=trial,
        state=TrialState(row["state"]),
        attempt=row["attempt"],
        strikes=row["strikes"],
        epochs=row["epochs"],
        train_loss=row["train_loss"],
        val_loss=row["val_loss"],
        val_accuracy=row["val_accuracy"],
        error=row["error"],
        checkpoint=None
        if row["checkpoint_epoch"] is None
        else Checkpoint(row["checkpoint_attempt"], row["checkpoint_epoch"]),
    )


def _record(row: sa.RowMapping) -> EpochRecord:
    """An epoch as it was recorded; a trial that goes on has none whose training loss is not finite."""
    return EpochRecord(**{field.name: row[field.name] for field in dataclasses.fields(EpochRecord)})
