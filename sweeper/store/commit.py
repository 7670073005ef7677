"""Turns a coordinator's writes into SQL: one fenced transaction for as many as have gathered."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sweeper.crashpoints import Point, reach
from sweeper.records import Origin, Phase, TrialKey, TrialState
from sweeper.store import lease, rows
from sweeper.store.engine import WritingConnection
from sweeper.store.lease import Lease
from sweeper.store.rows import Row
from sweeper.store.schema import attempts, epochs, sweeps, trials
from sweeper.store.writes import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    EpochsRecorded,
    ExperimentExtended,
    FinalsChosen,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)

ORDER: Mapping[type[Any], int] = {
    TrialPlanned: 0,
    AttemptStarted: 1,
    EpochsRecorded: 2,
    CheckpointSaved: 3,
    AttemptEnded: 4,
    TrialFinished: 5,
}
"""In which order a trial's writes come, until it is begun again; the others are of the whole sweep."""

# Statements are made once: that takes as long as executing them.
IDS = sa.select(trials.c.id, trials.c.optimizer, trials.c.phase, trials.c.number).where(
    trials.c.sweep_id == sa.bindparam("sweep"),
    # For three columns as a tuple SQLite would look at every trial of the sweep.
    *(trials.c[name].in_(sa.bindparam(name, expanding=True)) for name in ("optimizer", "phase", "number")),
)
CURRENT = sa.select(trials.c.id, trials.c.attempt).where(trials.c.id.in_(sa.bindparam("ids", expanding=True)))


class Committer:
    """Commits writes under a lease, each transaction fenced by its first statement."""

    def __init__(self, database: WritingConnection, held: Lease) -> None:
        self._database = database
        self._lease = held
        self._ids: dict[TrialKey, int] = {}
        self.is_asked_to_stop = False
        """Whether someone has asked this coordinator to stop; known from the next commit on."""
        self._apply: Mapping[type[Any], Callable[[sa.Connection, Any], None]] = {
            TrialPlanned: self._plan,
            AttemptStarted: self._start,
            EpochsRecorded: self._record,
            CheckpointSaved: self._save_checkpoints,
            AttemptEnded: self._end_attempts,
            TrialFinished: self._finish,
            FinalsChosen: self._choose_finals,
            ExperimentExtended: self._extend,
            SweepEnded: self._end_sweep,
        }

    @property
    def lease(self) -> Lease:
        """Under which the writes are committed."""
        return self._lease

    def commit(self, writes: Sequence[Write]) -> None:
        """Apply `writes` in order in one transaction; without any, only prolong the lease.

        Raises FencedError where another coordinator has taken over or the sweep was deleted; then nothing is
        written. Raises StoreAwayError where the same may succeed later, and StoreError.
        """
        groups = list(grouped(writes))
        reach(Point.BEFORE_COMMIT)
        with self._database.begin() as connection:
            is_asked = lease.renew(connection, self._lease)
            for kind, group in groups:
                self._apply[kind](connection, group)
            reach(Point.WITHIN_COMMIT)
        self.is_asked_to_stop = is_asked
        reach(Point.AFTER_COMMIT)

    def release(self) -> None:
        """Give the lease up, and close the connection."""
        reach(Point.BEFORE_RELEASE)
        try:
            with self._database.begin() as connection:
                lease.release(connection, self._lease)
        finally:
            self._database.close()

    def _plan(self, connection: sa.Connection, writes: list[TrialPlanned]) -> None:
        new = [rows.trial_row(self._lease.sweep_id, write.trial, write.queued_at) for write in writes]
        _insert_once(connection, trials, new)

    def _start(self, connection: sa.Connection, writes: list[AttemptStarted]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        _insert_once(connection, attempts, [rows.attempt_row(ids[write.key], write) for write in writes])
        _update(connection, trials, [rows.restarted_row(ids[write.key], write) for write in writes])
        afresh = [ids[write.key] for write in writes if write.attempt > 1 and not write.gone_on_from]
        if afresh:
            none = {"checkpoint_attempt": None, "checkpoint_epoch": None}
            connection.execute(sa.update(trials).where(trials.c.id.in_(afresh)).values(**none))

    def _record(self, connection: sa.Connection, writes: list[EpochsRecorded]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        current = _current_attempts(connection, ids.values())
        accepted = [write for write in writes if current[ids[write.key]] == write.attempt]
        if accepted:
            new = [rows.epoch_row(ids[w.key], w.attempt, record) for w in accepted for record in w.records]
            _insert_once(connection, epochs, new)
            _update(connection, trials, [rows.progress_row(ids[write.key], write) for write in accepted])

    def _save_checkpoints(self, connection: sa.Connection, writes: list[CheckpointSaved]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        _update(connection, trials, [rows.checkpoint_row(ids[w.key], w.checkpoint) for w in writes])

    def _end_attempts(self, connection: sa.Connection, writes: list[AttemptEnded]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        _update(connection, attempts, [rows.ended_row(ids[write.key], write) for write in writes])
        _update(connection, trials, [rows.requeued_row(ids[write.key], write) for write in writes])

    def _finish(self, connection: sa.Connection, writes: list[TrialFinished]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        _update(connection, attempts, [rows.ended_row(ids[write.key], write) for write in writes])
        _update(connection, trials, [rows.finished_row(ids[write.key], write) for write in writes])
        for write in writes:  # nothing more will come of it
            self._ids.pop(write.key, None)

    def _choose_finals(self, connection: sa.Connection, writes: list[FinalsChosen]) -> None:
        finals = (trials.c.sweep_id == self._lease.sweep_id) & (trials.c.phase == Phase.FINAL.value)
        over = (TrialState.COMPLETE.value, TrialState.DIVERGED.value, TrialState.FAILED.value)
        for write in writes:
            for optimizer, settings in write.settings.items():
                mine = sa.update(trials).where(finals, trials.c.optimizer == optimizer)
                chosen = trials.c.setting.in_(settings)
                unfinished = trials.c.state.not_in(over)
                superseded = {"origin": Origin.SUPERSEDED.value}
                never = {
                    "state": TrialState.FAILED.value,
                    "error": "its setting is no longer chosen",
                    "finished_at": write.chosen_at,
                }
                connection.execute(mine.where(~chosen, unfinished).values(**superseded, **never))
                connection.execute(mine.where(~chosen).values(**superseded))
                again = chosen & (trials.c.state != TrialState.FAILED.value)
                connection.execute(mine.where(again).values(origin=Origin.FINAL.value))

    def _extend(self, connection: sa.Connection, writes: list[ExperimentExtended]) -> None:
        sweep = sa.update(sweeps).where(sweeps.c.id == self._lease.sweep_id)
        connection.execute(sweep.values(experiment=dict(writes[-1].document)))

    def _end_sweep(self, connection: sa.Connection, writes: list[SweepEnded]) -> None:
        sweep = sa.update(sweeps).where(sweeps.c.id == self._lease.sweep_id)
        connection.execute(sweep.values(state=writes[-1].state.value))

    def _trial_ids(self, connection: sa.Connection, keys: Iterable[TrialKey]) -> dict[TrialKey, int]:
        wanted = set(keys)
        if unknown := {key for key in wanted if key not in self._ids}:
            sought = {
                "optimizer": list({key.optimizer for key in unknown}),
                "phase": list({key.phase.value for key in unknown}),
                "number": list({key.number for key in unknown}),
            }
            for row in connection.execute(IDS, {"sweep": self._lease.sweep_id, **sought}):
                key = TrialKey(row.optimizer, Phase(row.phase), row.number)
                if key in unknown:
                    self._ids[key] = row.id
        return {key: self._ids[key] for key in wanted}


def grouped(writes: Iterable[Write]) -> Iterator[tuple[type[Any], list[Any]]]:
    """The writes by kind, in an order that comes to the same as theirs: a statement each, not one a write.

    Different trials' writes don't concern each other. Each trial's stay in their order, as do plans; and none
    passes a write of the whole sweep.
    """
    together: list[Write] = []
    latest: dict[TrialKey, int] = {}
    for write in writes:
        if isinstance(write, FinalsChosen | ExperimentExtended | SweepEnded):
            yield from _by_kind(together)
            yield type(write), [write]
            together, latest = [], {}
            continue
        place = ORDER[type(write)]
        if place < latest.get(write.key, place):
            yield from _by_kind(together)
            together, latest = [], {}
        together.append(write)
        latest[write.key] = place
    yield from _by_kind(together)


def _by_kind(writes: list[Write]) -> Iterator[tuple[type[Any], list[Any]]]:
    in_order = sorted(writes, key=lambda write: ORDER[type(write)])  # stable
    return ((kind, list(group)) for kind, group in itertools.groupby(in_order, type))


def _insert_once(connection: sa.Connection, table: sa.Table, new: list[Row]) -> None:
    """Insert the rows that are not there yet: a commit that we never heard of may have succeeded."""
    connection.execute(_insert_of(table, connection.dialect.name), new)


@functools.cache
def _insert_of(table: sa.Table, dialect: str) -> sa.Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def _current_attempts(connection: sa.Connection, ids: Iterable[int]) -> dict[int, int]:
    return {row.id: row.attempt for row in connection.execute(CURRENT, {"ids": list(ids)})}


def _update(connection: sa.Connection, table: sa.Table, new: list[Row]) -> None:
    """Update one row of `table` for each of `new`, which all have the same names.

    Those that end in `_is` say which row it is; the others are its new values.
    """
    connection.execute(_update_of(table, tuple(new[0])), new)


@functools.cache
def _update_of(table: sa.Table, names: tuple[str, ...]) -> sa.Update:
    keys = [name for name in names if name.endswith("_is")]
    this = [table.c[key.removesuffix("_is")] == sa.bindparam(key) for key in keys]
    return sa.update(table).where(*this).values({n: sa.bindparam(n) for n in names if n not in keys})
