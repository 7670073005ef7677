"""The rows of the tables, made of what a coordinator asks to be written.

A name that ends in `_is` is of a column that tells which row is changed: with `attempt_is` a trial is left as
it is once a newer attempt has begun.
"""

import math
from datetime import datetime
from typing import Any

from sweeper.records import Checkpoint, EpochRecord, Trial, TrialState
from sweeper.store.writes import AttemptEnded, AttemptStarted, EpochsRecorded, TrialFinished

Row = dict[str, Any]


def trial_row(sweep_id: int, trial: Trial, queued_at: datetime) -> Row:
    """A new trial, queued."""
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


def attempt_row(trial_id: int, write: AttemptStarted) -> Row:
    """An attempt that begins."""
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


def restarted_row(trial_id: int, write: AttemptStarted) -> Row:
    """The trial when an attempt begins: what an earlier one reached counts up to the checkpoint."""
    begun: Row = {
        "id_is": trial_id,
        "state": TrialState.RUNNING.value,
        "attempt": write.attempt,
        "started_at": write.started_at,
        "setup_s": None,
    }
    if write.gone_on_from:
        seconds = {
            "train_s": sum(record.train_s for record in write.gone_on_from),
            "eval_s": sum(record.eval_s for record in write.gone_on_from),
        }
        return {**begun, **_reached(write.gone_on_from[-1]), **seconds}
    nothing = ("train_loss", "val_loss", "val_accuracy", "train_s", "eval_s")
    return {**begun, "epochs": 0, "samples": 0, "grad_evals": 0, **dict.fromkeys(nothing)}


def progress_row(trial_id: int, write: EpochsRecorded) -> Row:
    """How far a trial is: its last record and the seconds of its attempt."""
    return {
        "id_is": trial_id,
        **_reached(write.records[-1]),
        "setup_s": write.setup_s,
        "train_s": write.train_s,
        "eval_s": write.eval_s,
    }


def checkpoint_row(trial_id: int, saved: Checkpoint) -> Row:
    """The trial's checkpoint that counts."""
    return {
        "id_is": trial_id,
        "attempt_is": saved.attempt,
        "checkpoint_attempt": saved.attempt,
        "checkpoint_epoch": saved.epoch,
    }


def requeued_row(trial_id: int, write: AttemptEnded) -> Row:
    """The trial when an attempt has ended before it did."""
    return {"id_is": trial_id, "attempt_is": write.attempt, "state": TrialState.QUEUED.value}


def finished_row(trial_id: int, write: TrialFinished) -> Row:
    """The trial at its end."""
    return {
        "id_is": trial_id,
        "attempt_is": write.attempt,
        "state": write.state.value,
        "finished_at": write.finished_at,
        "error": write.error,
        "test_loss": finite(write.test.loss) if write.test else None,
        "test_accuracy": finite(write.test.accuracy) if write.test else None,
    }


def ended_row(trial_id: int, write: AttemptEnded | TrialFinished) -> Row:
    """An attempt at its end; one that ended its trial was a strike where that failed."""
    if isinstance(write, AttemptEnded):
        ended_at, why, strike = write.ended_at, write.why, write.strike
    else:
        ended_at, strike = write.finished_at, write.state is TrialState.FAILED
        why = write.error if strike and write.error else write.state.value
    return {
        "trial_id_is": trial_id,
        "attempt_is": write.attempt,
        "ended_at": ended_at,
        "why": why,
        "strike": strike,
    }


def _reached(last: EpochRecord) -> Row:
    """How far a trial is whose last record that counts is `last`."""
    return {
        "epochs": last.epoch,
        "samples": last.samples,
        "grad_evals": last.grad_evals,
        "train_loss": finite(last.train_loss),
        "val_loss": finite(last.val_loss),
        "val_accuracy": finite(last.val_accuracy),
    }


def epoch_row(trial_id: int, attempt: int, record: EpochRecord) -> Row:
    """One epoch of one attempt."""
    return {
        "trial_id": trial_id,
        "attempt": attempt,
        "epoch": record.epoch,
        "samples": record.samples,
        "steps": record.steps,
        "grad_evals": record.grad_evals,
        "train_loss": finite(record.train_loss),
        "val_loss": finite(record.val_loss),
        "val_accuracy": finite(record.val_accuracy),
        "lr": finite(record.lr),
        "train_s": record.train_s,
        "eval_s": record.eval_s,
        "recorded_at": record.recorded_at,
    }


def finite(value: float | None) -> float | None:
    """The value, or None (NULL) where it is not finite."""
    return value if value is not None and math.isfinite(value) else None
