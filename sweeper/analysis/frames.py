"""Tidy pandas frames of a sweep: a row per trial, per epoch, per attempt.

Columns and dtypes are the same for every sweep, an empty one included. Numbers that the store keeps as NULL
are NaN, times are UTC.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from sweeper.analysis.columns import ATTEMPTS, EPOCHS, TIME, TRIALS
from sweeper.records import Origin, TrialKey
from sweeper.store import Store
from sweeper.store.failures import translated
from sweeper.store.schema import attempts as attempts_table
from sweeper.store.schema import epochs as epochs_table
from sweeper.store.schema import sweeps as sweeps_table
from sweeper.store.schema import trials as trials_table
from sweeper.store.text import kept

KEY = ["sweep", "optimizer", "number", "phase"]

PLACE = ("worker", "node", "device")

CUMULATIVE = ("samples", "steps", "grad_evals")
"""What an epoch's row counts from its trial's start."""


class Since(NamedTuple):
    """What was known of a sweep's trials: the `last` one's id, and the ids of those that may yet change."""

    last: int
    unsettled: Sequence[int]


def trials(store: Store, sweep: str) -> pd.DataFrame:
    """A row per trial of `sweep`, in the order in which they were planned.

    `queued_s` is from planning to the latest attempt's start, `wall_s` from there to the end.
    Hyperparameters are columns `params.NAME`, in the order in which they first appear, NaN where an
    optimizer has no such one.
    """
    return trials_by_id(store, sweep).reset_index(drop=True)


def trials_by_id(store: Store, sweep: str, since: Since | None = None) -> pd.DataFrame:
    """The same by the trials' ids, in their order; of a sweep known `since` then, what may differ now."""
    latest = (attempts_table.c.trial_id == trials_table.c.id) & (
        attempts_table.c.attempt == trials_table.c.attempt
    )
    shown = (c for c in trials_table.c if c.name in (*TRIALS, "queued_at", "params"))
    query = (
        sa.select(
            sweeps_table.c.name.label("sweep"),
            trials_table.c.id,
            *shown,
            *(attempts_table.c[name] for name in PLACE),
        )
        .join(sweeps_table, sweeps_table.c.id == trials_table.c.sweep_id)
        .outerjoin(attempts_table, latest)
        .where(sweeps_table.c.name == sweep)
        .order_by(trials_table.c.id)
    )
    if since is not None:
        table = trials_table.c
        is_superseded = table.origin == Origin.SUPERSEDED.value
        query = query.where((table.id > since.last) | table.id.in_(since.unsettled) | is_superseded)
    rows = _placed(_read(store, query))
    started = _times(rows["started_at"])
    rows["queued_s"] = (started - _times(rows["queued_at"])).dt.total_seconds()
    rows["wall_s"] = (_times(rows["finished_at"]) - started).dt.total_seconds()
    found = pd.concat([_typed(rows, TRIALS), _parameters(rows["params"])], axis="columns")
    return found.set_axis(pd.Index(rows["id"], dtype="int64")).copy()  # in one piece: choosing rows is faster


def epochs(store: Store, sweep: str, trial: TrialKey | None = None) -> pd.DataFrame:
    """A row per epoch of every trial of `sweep`, or of one, each from the latest attempt that trained it.

    `samples` and `grad_evals` count from the trial's start; seconds are of that epoch.
    """
    return epochs_by_id(store, sweep, *_is(trial)).reset_index(drop=True)


def epochs_since(store: Store, sweep: str, since: Since | None) -> pd.DataFrame:
    """The epochs by their trials' ids; of a sweep known `since` then, those of trials that may differ now."""
    if since is None:
        return epochs_by_id(store, sweep)
    table = trials_table.c
    return epochs_by_id(store, sweep, (table.id > since.last) | table.id.in_(since.unsettled))


def epochs_by_id(store: Store, sweep: str, *wanted: sa.ColumnElement[bool]) -> pd.DataFrame:
    """The epochs of those trials for which `wanted` holds, by the trials' ids."""
    table, later = epochs_table.c, epochs_table.alias("later").c
    latest = (attempts_table.c.trial_id == trials_table.c.id) & (
        attempts_table.c.attempt == trials_table.c.attempt
    )
    is_trained_again = sa.exists().where(
        later.trial_id == table.trial_id, later.attempt > table.attempt, later.epoch == table.epoch
    )
    # What an earlier attempt trained beyond the latest one's first epoch, the latest one trains again.
    counts = (table.attempt == trials_table.c.attempt) | (
        (table.epoch < attempts_table.c.first_epoch) & ~is_trained_again
    )
    query = (
        sa.select(table.trial_id, *(c for c in table if c.name in EPOCHS))
        .join(trials_table, trials_table.c.id == table.trial_id)
        .join(sweeps_table, sweeps_table.c.id == trials_table.c.sweep_id)
        .join(attempts_table, latest)
        .where(sweeps_table.c.name == sweep, counts, *wanted)
        .order_by(trials_table.c.id, table.epoch)
    )
    rows = _read(store, query)
    # After the epochs, so that every one of them has its trial; a trial's text is read once, not per epoch.
    own = _typed(
        _read(store, _trials_of(sweep).where(*wanted)),
        {name: EPOCHS[name] for name in KEY} | {"id": "int64"},
    )
    keys = own.take(pd.Index(own.pop("id")).get_indexer(rows["trial_id"]))[KEY].reset_index(drop=True)
    found = _typed(pd.concat([keys, _timed(rows)], axis="columns"), EPOCHS)
    return found.set_axis(pd.Index(rows["trial_id"], dtype="int64"))


def _trials_of(sweep: str) -> sa.Select[Any]:
    return (
        sa.select(trials_table.c.id, *_trial_columns())
        .join(sweeps_table, sweeps_table.c.id == trials_table.c.sweep_id)
        .where(sweeps_table.c.name == sweep)
    )


def attempts(store: Store, sweep: str, trial: TrialKey | None = None) -> pd.DataFrame:
    """A row per attempt at every trial of `sweep`, or at one of them, lost ones included.

    `epochs`, `samples`, `steps`, `grad_evals` and the seconds are what the attempt itself trained and
    recorded, without what a checkpoint gave it.
    """
    began, spent = _begun_with(sweep), _recorded(sweep)
    query = (
        sa.select(
            *_trial_columns(),
            *(c for c in attempts_table.c if c.name in ATTEMPTS),
            *(sa.func.coalesce(spent.c[name], 0).label(name) for name in ("epochs", "train_s", "eval_s")),
            *(
                (sa.func.coalesce(spent.c[name], 0) - sa.func.coalesce(began.c[name], 0)).label(name)
                for name in CUMULATIVE
            ),
        )
        .join(trials_table, trials_table.c.id == attempts_table.c.trial_id)
        .join(sweeps_table, sweeps_table.c.id == trials_table.c.sweep_id)
        .outerjoin(spent, _is_same_attempt(spent))
        .outerjoin(began, _is_same_attempt(began))
        .where(sweeps_table.c.name == sweep, *_is(trial))
        .order_by(trials_table.c.id, attempts_table.c.attempt)
    )
    return _typed(_timed(_placed(_read(store, query))), ATTEMPTS)


def _recorded(sweep: str) -> sa.Subquery:
    """What the epochs of each attempt add up to; counts go on from what a checkpoint gave."""
    table = epochs_table.c
    return (
        sa.select(
            table.trial_id,
            table.attempt,
            sa.func.count().label("epochs"),
            sa.func.sum(table.train_s).label("train_s"),
            sa.func.sum(table.eval_s).label("eval_s"),
            *(sa.func.max(table[name]).label(name) for name in CUMULATIVE),
        )
        .where(_is_of(sweep, table.trial_id))
        .group_by(table.trial_id, table.attempt)
        .subquery()
    )


def _begun_with(sweep: str) -> sa.Subquery:
    """What a checkpoint gave each attempt that recorded anything: the counts before its first epoch."""
    table, attempt = epochs_table.c, attempts_table.c
    own = epochs_table.alias("own").c
    has_recorded = sa.exists().where(own.trial_id == attempt.trial_id, own.attempt == attempt.attempt)
    return (
        sa.select(
            attempt.trial_id, attempt.attempt, *(sa.func.max(table[name]).label(name) for name in CUMULATIVE)
        )
        .join(epochs_table, (table.trial_id == attempt.trial_id) & (table.epoch == attempt.first_epoch - 1))
        .where(attempt.first_epoch > 1, table.attempt < attempt.attempt, has_recorded)
        .where(_is_of(sweep, attempt.trial_id))
        .group_by(attempt.trial_id, attempt.attempt)
        .subquery()
    )


def _is_of(sweep: str, trial_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether a row is of `sweep`: told within a subquery, which else reads all sweeps of the store."""
    return trial_id.in_(_trials_of(sweep).with_only_columns(trials_table.c.id))


def _is_same_attempt(rows: sa.Subquery) -> sa.ColumnElement[bool]:
    return (rows.c.trial_id == attempts_table.c.trial_id) & (rows.c.attempt == attempts_table.c.attempt)


def _is(trial: TrialKey | None) -> list[sa.ColumnElement[bool]]:
    """Whether a row is of that trial."""
    if trial is None:
        return []
    table = trials_table.c
    same = (
        table.optimizer == trial.optimizer,
        table.phase == trial.phase.value,
        table.number == trial.number,
    )
    return list(same)


def _trial_columns() -> list[sa.ColumnElement[Any]]:
    table = trials_table.c
    return [sweeps_table.c.name.label("sweep"), table.optimizer, table.number, table.phase]


def _read(store: Store, query: sa.Select[Any]) -> pd.DataFrame:
    """The rows, turned into columns a thousand at a time: all at once cost the garbage collector as much."""
    with translated(store.engine.url), store.engine.connect() as connection:
        result = connection.execute(query)
        columns: dict[str, list[Any]] = {name: [] for name in result.keys()}  # noqa: SIM118
        for rows in result.partitions(1000):
            for column, values in zip(columns.values(), zip(*rows, strict=True), strict=True):
                column.extend(values)
    return pd.DataFrame(columns)


def _placed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with no text for a worker, node or device that nobody knows: those of imported results."""
    known = rows.assign(**{name: rows[name].where(rows[name] != "", None) for name in PLACE})
    if "ended_at" not in rows:
        return known
    has_times = rows["ended_at"].notna() | (rows["worker"] != "")
    return known.assign(started_at=rows["started_at"].where(has_times, None))


def _timed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without seconds that nobody knows; the store keeps them as `UNKNOWN_S`."""
    seconds = {name: rows[name].astype("float64") for name in ("train_s", "eval_s")}
    return rows.assign(**{name: values.where(values >= 0) for name, values in seconds.items()})


def _typed(rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    times = {name: _times(rows[name]) for name, dtype in columns.items() if dtype == TIME}
    return rows.assign(**times)[list(columns)].astype(dict(columns))


def _times(column: pd.Series) -> pd.Series:
    return pd.to_datetime(column, utc=True)


def _parameters(settings: Sequence[Mapping[str, Any]] | pd.Series) -> pd.DataFrame:
    """A column for each hyperparameter, NaN where a trial has none, whatever the others' are."""
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    columns = {f"params.{kept(name)}": [_valid(setting.get(name)) for setting in settings] for name in names}
    return pd.DataFrame(columns).infer_objects()


def _valid(value: Any) -> Any:
    """Frames hold valid text only, the store's JSON any."""
    if value is None:
        return math.nan
    return kept(value) if isinstance(value, str) else value
