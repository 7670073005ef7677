"""What is read from the store: records made of the tables' rows."""

import dataclasses
from collections.abc import Mapping

import sqlalchemy as sa

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
from sweeper.store import lease


def sweep_info(row: sa.RowMapping, counts: Mapping[str, int]) -> SweepInfo:
    """A sweep, with its trials counted by state."""
    owner = lease.holder(row, row["now"])
    return SweepInfo(
        name=row["name"],
        state=state(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        trials={str(s): counts.get(s, 0) for s in TrialState},
        holder=str(owner) if owner else None,
        held_since=row["owner_since"] if owner else None,
        experiment=row["experiment"],
        experiment_text=row["experiment_text"],
        facts=row["facts"],
    )


def state(row: sa.RowMapping) -> SweepState:
    """The state of the sweep of this row of `sweeps`; one that nobody runs is interrupted."""
    known = SweepState(row["state"])
    is_left = known is SweepState.RUNNING and lease.holder(row, row["now"]) is None
    return SweepState.INTERRUPTED if is_left else known


def stored_trial(row: sa.RowMapping) -> StoredTrial:
    """A trial, with the strikes of its attempts."""
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


def epoch_record(row: sa.RowMapping) -> EpochRecord:
    """An epoch as it was recorded; a trial that goes on has none whose training loss is not finite."""
    return EpochRecord(**{field.name: row[field.name] for field in dataclasses.fields(EpochRecord)})
