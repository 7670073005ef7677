"""Turns a coordinator's writes into SQL: one fenced transaction for as many as have gathered."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sweeper.records import EpochRecord, Phase, Trial, TrialKey, TrialState
from sweeper.store import lease
from sweeper.store.engine import translated
from sweeper.store.lease import Lease
from sweeper.store.schema import attempts, epochs, sweeps, trials
from sweeper.store.writes import (
    AttemptEnded,
    AttemptStarted,
    EpochsRecorded,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)

Row = dict[str, Any]


class Committer:
    """Commits writes under a lease, each transaction fenced by its first statement."""

    def __init__(self, engine: sa.Engine, held: Lease) -> None:
        self._engine = engine
        self._lease = held
        self._ids: dict[TrialKey, int] = {}
        self._apply: Mapping[type[Any], Callable[[sa.Connection, Any], None]] = {
            TrialPlanned: self._plan,
            AttemptStarted: self._start,
            EpochsRecorded: self._record,
            AttemptEnded: self._end_attempts,
            TrialFinished: self._finish,
            SweepEnded: self._end_sweep,
        }

    @property
    def lease(self) -> Lease:
        """Under which the writes are committed."""
        return self._lease

    def commit(self, writes: Sequence[Write]) -> None:
        """Apply `writes` in order in one transaction; without any, only prolong the lease.

        Raises FencedError where another coordinator has taken over; then nothing is written.
        """
        groups = [(kind, list(group)) for kind, group in itertools.groupby(writes, type)]
        with translated(self._engine.url), self._engine.begin() as connection:
            lease.renew(connection, self._lease)
            for kind, group in groups:
                self._apply[kind](connection, group)

    def release(self) -> None:
        """Give the lease up."""
        with translated(self._engine.url), self._engine.begin() as connection:
            lease.release(connection, self._lease)

    def _plan(self, connection: sa.Connection, writes: list[TrialPlanned]) -> None:
        rows = [_trial_row(self._lease.sweep_id, write.trial, write.queued_at) for write in writes]
        _insert_once(connection, trials, rows)

    def _start(self, connection: sa.Connection, writes: list[AttemptStarted]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        _close_orphans(connection, [(ids[write.key], write) for write in writes])
        _insert_once(connection, attempts, [_attempt_row(ids[write.key], write) for write in writes])
        _update_trials(connection, [_restarted_row(ids[write.key], write) for write in writes])

    def _record(self, connection: sa.Connection, writes: list[EpochsRecorded]) -> None:
        ids = self._trial_ids(connection, (write.key for write in writes))
        current = _current_attempts(connection, ids.values())
        accepted = [write for write in writes if current[ids[write.key]] == write.attempt]
        if accepted:
            rows = [_epoch_row(ids[w.key], w.attempt, record) for w in accepted for record in w.records]
            _insert_once(connection, epochs, rows)
            _update_trials(connection, [_progress_row(ids[write.key], write) for write in accepted])

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
            values = {"state": write.state.value, "finished_at": write.finished_at, "error": write.error}
            _update_current(connection, trial_id, write.attempt, values)

    def _end_sweep(self, connection: sa.Connection, writes: list[SweepEnded]) -> None:
        sweep = sa.update(sweeps).where(sweeps.c.id == self._lease.sweep_id)
        connection.execute(sweep.values(state=writes[-1].state.value))

    def _trial_ids(self, connection: sa.Connection, keys: Iterable[TrialKey]) -> dict[TrialKey, int]:
        wanted = set(keys)
        if unknown := wanted - self._ids.keys():
            key = sa.tuple_(trials.c.optimizer, trials.c.phase, trials.c.number)
            query = sa.select(trials.c.id, trials.c.optimizer, trials.c.phase, trials.c.number).where(
                trials.c.sweep_id == self._lease.sweep_id,
                key.in_([(k.optimizer, k.phase.value, k.number) for k in unknown]),
            )
            for row in connection.execute(query):
                self._ids[TrialKey(row.optimizer, Phase(row.phase), row.number)] = row.id
        return {key: self._ids[key] for key in wanted}


def _insert_once(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    """Insert the rows that are not there yet: a commit that we never heard of may have succeeded."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).on_conflict_do_nothing(), rows)


def _current_attempts(connection: sa.Connection, ids: Iterable[int]) -> dict[int, int]:
    query = sa.select(trials.c.id, trials.c.attempt).where(trials.c.id.in_(list(ids)))
    return {row.id: row.attempt for row in connection.execute(query)}


def _update_trials(connection: sa.Connection, rows: list[Row]) -> None:
    """Update one trial per row; `trial_id` says which, the row's other values are its columns."""
    names = [name for name in rows[0] if name != "trial_id"]
    update = sa.update(trials).where(trials.c.id == sa.bindparam("trial_id"))
    connection.execute(update.values({name: sa.bindparam(name) for name in names}), rows)


def _update_current(connection: sa.Connection, trial_id: int, attempt: int, values: Row) -> None:
    """Update the trial, unless a newer attempt has begun."""
    this = (trials.c.id == trial_id) & (trials.c.attempt == attempt)
    connection.execute(sa.update(trials).where(this).values(**values))


def _close_attempt(
    connection: sa.Connection, trial_id: int, attempt: int, ended_at: datetime, why: str, strike: bool
) -> None:
    this = (attempts.c.trial_id == trial_id) & (attempts.c.attempt == attempt)
    connection.execute(sa.update(attempts).where(this).values(ended_at=ended_at, why=why, strike=strike))


def _close_orphans(connection: sa.Connection, starting: list[tuple[int, AttemptStarted]]) -> None:
    """Close older attempts that are still open: their coordinator died with them."""
    for trial_id, write in starting:
        orphans = (
            (attempts.c.trial_id == trial_id)
            & (attempts.c.attempt < write.attempt)
            & attempts.c.ended_at.is_(None)
        )
        values = {"ended_at": write.started_at, "why": "its coordinator died"}
        if write.attempt > 1:
            connection.execute(sa.update(attempts).where(orphans).values(**values))


def _trial_row(sweep_id: int, trial: Trial, queued_at: datetime) -> Row:
    return {
        "sweep_id": sweep_id,
        "optimizer": trial.key.optimizer,
        "phase": trial.key.phase.value,
        "number": trial.key.number,
        "origin": trial.origin.value,
        "independent": trial.independent,
        "setting": trial.setting,
        "seed": trial.seed,
        "proposal": dict(trial.proposal),
        "params": dict(trial.params),
        "state": TrialState.QUEUED.value,
        "attempt": 0,
        "epochs": 0,
        "samples": 0,
        "grad_evals": 0,
        "queued_at": queued_at,
    }


def _attempt_row(trial_id: int, write: AttemptStarted) -> Row:
    return {
        "trial_id": trial_id,
        "attempt": write.attempt,
        "worker": write.worker.worker,
        "node": write.worker.node,
        "device": write.worker.device,
        "first_epoch": write.first_epoch,
        "started_at": write.started_at,
        "strike": False,
    }


def _restarted_row(trial_id: int, write: AttemptStarted) -> Row:
    """The trial when an attempt begins: what an earlier one reached no longer counts."""
    nothing = ("train_loss", "val_loss", "val_accuracy", "setup_s", "train_s", "eval_s")
    return {
        "trial_id": trial_id,
        "state": TrialState.RUNNING.value,
        "attempt": write.attempt,
        "started_at": write.started_at,
        "epochs": write.first_epoch - 1,
        "samples": 0,
        "grad_evals": 0,
        **dict.fromkeys(nothing),
    }


def _progress_row(trial_id: int, write: EpochsRecorded) -> Row:
    last = write.records[-1]
    return {
        "trial_id": trial_id,
        "epochs": last.epoch,
        "samples": last.samples,
        "grad_evals": last.grad_evals,
        "train_loss": _finite(last.train_loss),
        "val_loss": _finite(last.val_loss),
        "val_accuracy": _finite(last.val_accuracy),
        "setup_s": write.setup_s,
        "train_s": write.train_s,
        "eval_s": write.eval_s,
    }


def _epoch_row(trial_id: int, attempt: int, record: EpochRecord) -> Row:
    return {
        "trial_id": trial_id,
        "attempt": attempt,
        "epoch": record.epoch,
        "samples": record.samples,
        "steps": record.steps,
        "grad_evals": record.grad_evals,
        "train_loss": _finite(record.train_loss),
        "val_loss": _finite(record.val_loss),
        "val_accuracy": _finite(record.val_accuracy),
        "lr": _finite(record.lr),
        "train_s": record.train_s,
        "eval_s": record.eval_s,
        "recorded_at": record.recorded_at,
    }


def _finite(value: float | None) -> float | None:
    """The value, or None (NULL) where it is not finite."""
    return value if value is not None and math.isfinite(value) else None
