"""What a coordinator needs of a stored sweep to go on with it, as queries on a connection."""

from datetime import UTC, datetime

import sqlalchemy as sa

from sweeper.records import EpochRecord, Phase, StoredTrial, TrialKey, TrialState
from sweeper.store import stored
from sweeper.store.schema import attempts, epochs, sweeps, trials

ORPHANED = "its coordinator died"
"""Why an attempt ended that a successor found open."""


def trials_of(connection: sa.Connection, name: str) -> list[StoredTrial]:
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
    return [stored.stored_trial(row) for row in connection.execute(query).mappings()]


def records(connection: sa.Connection, name: str) -> dict[TrialKey, tuple[EpochRecord, ...]]:
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
    for row in connection.execute(query).mappings():
        key = TrialKey(row["optimizer"], Phase(row["phase"]), row["number"])
        found.setdefault(key, {})[row["epoch"]] = stored.epoch_record(row)
    return {key: tuple(by_epoch.values()) for key, by_epoch in found.items()}


def curves(connection: sa.Connection, name: str, objective: str) -> dict[TrialKey, dict[int, float]]:
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
    for optimizer, number, epoch, recorded in connection.execute(query):
        curves.setdefault(TrialKey(optimizer, Phase.SEARCH, number), {})[epoch] = recorded
    return curves


def spent_s(connection: sa.Connection, name: str) -> float:
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
    for started, ended, why, recorded in connection.execute(query):
        is_orphan = ended is None or why == ORPHANED
        end = (recorded or started) if is_orphan else ended
        total += max((end - max(started, until)).total_seconds(), 0.0)
        until = max(until, end)
    return total
