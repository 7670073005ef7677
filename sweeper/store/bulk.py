"""A whole sweep at once: results that were not made by a coordinator, written in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sweeper.records import SweepState
from sweeper.store.schema import attempts, epochs, sweeps, trials

Row = Mapping[str, Any]

KEY = ("optimizer", "phase", "number")
"""What tells a sweep's trials apart."""

UNKNOWN_S = -1.0
"""Seconds of an epoch that nobody knows: the table asks for a number."""


def insert_sweep(connection: sa.Connection, sweep: Row, now: datetime) -> int:
    """A complete sweep without a lease, and its id.

    `sweep` has `name`, `experiment`, `experiment_text` and `facts`. Raises IntegrityError where the name is
    taken.
    """
    made = connection.execute(
        sweeps.insert(),
        {
            **sweep,
            "state": SweepState.COMPLETE.value,
            "created_at": now,
            "updated_at": now,
            "lease_token": 0,
            "version": 0,
        },
    )
    assert made.inserted_primary_key is not None
    sweep_id: int = made.inserted_primary_key[0]
    return sweep_id


def insert_rows(
    connection: sa.Connection,
    sweep_id: int,
    trial_rows: Sequence[Row],
    attempt_rows: Sequence[Row],
    epoch_rows: Sequence[Row],
) -> None:
    """All rows of a sweep.

    Those of attempts and epochs have their trial's `optimizer`, `phase` and `number` in the place of its id.
    """
    _insert(connection, trials, [{**row, "sweep_id": sweep_id} for row in trial_rows])
    query = sa.select(trials.c.id, *(trials.c[name] for name in KEY)).where(trials.c.sweep_id == sweep_id)
    ids = {tuple(row[1:]): row[0] for row in connection.execute(query)}
    for table, rows in ((attempts, attempt_rows), (epochs, epoch_rows)):
        _insert(connection, table, [_of_trial(row, ids) for row in rows])


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _of_trial(row: Row, ids: Mapping[tuple[Any, ...], int]) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if name not in KEY}
    return {**plain, "trial_id": ids[tuple(row[name] for name in KEY)]}
