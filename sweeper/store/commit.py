"""Turns a coordinator's writes into SQL: one fenced transaction for as many as have gathered."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
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

# Statements are built once: that takes longer than running them. An update sets the columns of its rows.
_KEY = (trials.c.optimizer, trials.c.phase, trials.c.number)
_TRIAL_IDS = sa.select(trials.c.id, *_KEY).where(
    trials.c.sweep_id == sa.bindparam("of_sweep"), sa.tuple_(*_KEY).in_(sa.bindparam("keys", expanding=True))
)
_UPDATE_TRIAL = sa.update(trials).where(trials.c.id == sa.bindparam("trial_id"))
_UPDATE_CURRENT = _UPDATE_TRIAL.where(trials.c.attempt == sa.bindparam("of_attempt"))
_CLOSE_ATTEMPT = sa.update(attempts).where(
    attempts.c.trial_id == sa.bindparam("of_trial"), attempts.c.attempt == sa.bindparam("of_attempt")
)
_CURRENT_ATTEMPTS = sa.select(trials.c.id, trials.c.attempt).where(
    trials.c.id.in_(sa.bindparam("ids", expanding=True))
)


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
        groups = [(kind, list(group)) for kind, group in itertools.groupby(writes, type)]
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
        _update_trials(connection, [rows.restarted_row(ids[write.key], write) for write in writes])
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
            _update_trials(connection, [rows.progress_row(ids[write.key], write) for write in accepted])

    def _save_checkpoints(self, connection: sa.Connection, writes: list[CheckpointSaved]) -> None:
        for write in writes:
            saved = write.checkpoint
            trial_id = self._trial_ids(connection, [write.key])[write.key]
            values = {"checkpoint_attempt": saved.attempt, "checkpoint_epoch": saved.epoch}
            _update_current(connection, trial_id, saved.attempt, values)

    def _end_attempts(self, connection: sa.Connection, writes: list[AttemptEnded]) -> None:
        for write in writes:
            trial_id = self._trial_ids(connection, [write.key])[write.key]
            _close_attempt(connection, trial_id, write.attempt, write.ended_at, write.why, write.strike)
            _update_current(connection, trial_id, write.attempt, {"state": TrialState.QUEUED.value})

    def _finish(self, connection: sa.Connection, writes: list[TrialFinished]) -> None:
        for write in writes:
            trial_id = self._trial_ids(connection, [write.key])[write.key]
            failed = write.state is TrialState.FAILED
            why = write.error if failed and write.error else write.state.value
            _close_attempt(connection, trial_id, write.attempt, write.finished_at, why, failed)
            values: Row = {"state": write.state.value, "finished_at": write.finished_at}
            values["error"] = write.error
            if write.test is not None:
                values |= {
                    "test_loss": rows.finite(write.test.loss),
                    "test_accuracy": rows.finite(write.test.accuracy),
                }
            _update_current(connection, trial_id, write.attempt, values)

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
        if unknown := {
            key for key in wanted if key not in self._ids
        }:  # a set of all ids would grow with them
            keys_of = [(key.optimizer, key.phase.value, key.number) for key in unknown]
            asked = {"of_sweep": self._lease.sweep_id, "keys": keys_of}
            for row in connection.execute(_TRIAL_IDS, asked):
                self._ids[TrialKey(row.optimizer, Phase(row.phase), row.number)] = row.id
        return {key: self._ids[key] for key in wanted}


def _insert_once(connection: sa.Connection, table: sa.Table, new: list[Row]) -> None:
    """Insert the rows that are not there yet: a commit that we never heard of may have succeeded."""
    connection.execute(_insert_into(table, connection.dialect.name), new)


@cache
def _insert_into(table: sa.Table, dialect: str) -> sa.Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def _current_attempts(connection: sa.Connection, ids: Iterable[int]) -> dict[int, int]:
    return {row.id: row.attempt for row in connection.execute(_CURRENT_ATTEMPTS, {"ids": list(ids)})}


def _update_trials(connection: sa.Connection, new: list[Row]) -> None:
    """Update one trial per row; `trial_id` says which, the row's other values are its columns."""
    connection.execute(_UPDATE_TRIAL, new)


def _update_current(connection: sa.Connection, trial_id: int, attempt: int, values: Row) -> None:
    """Update the trial, unless a newer attempt has begun."""
    connection.execute(_UPDATE_CURRENT, {"trial_id": trial_id, "of_attempt": attempt, **values})


def _close_attempt(
    connection: sa.Connection, trial_id: int, attempt: int, ended_at: datetime, why: str, strike: bool
) -> None:
    values = {"ended_at": ended_at, "why": why, "strike": strike}
    connection.execute(_CLOSE_ATTEMPT, {"of_trial": trial_id, "of_attempt": attempt, **values})
