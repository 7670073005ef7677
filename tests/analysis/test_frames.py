from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from sweeper.analysis import columns, frames
from sweeper.records import EpochRecord, Trial, TrialState, WorkerInfo
from sweeper.store import (
    AttemptEnded,
    AttemptStarted,
    EpochsRecorded,
    Store,
    TrialFinished,
    TrialPlanned,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
WORKER = WorkerInfo("1/0", "host", "cpu")

TRIAL_COLUMNS = [
    "sweep",
    "optimizer",
    "number",
    "phase",
    "origin",
    "independent",
    "setting",
    "seed",
    "state",
    "attempt",
    "epochs",
    "samples",
    "grad_evals",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "queued_s",
    "setup_s",
    "train_s",
    "eval_s",
    "wall_s",
    "worker",
    "node",
    "device",
    "started_at",
    "finished_at",
    "error",
]
EPOCH_COLUMNS = [
    "sweep",
    "optimizer",
    "number",
    "phase",
    "epoch",
    "samples",
    "grad_evals",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "lr",
    "train_s",
    "eval_s",
]


@pytest.fixture
def filled(store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]) -> Store:
    """adam/1 complete at its second attempt; sgd/0 diverged with NaN; sgd/2 queued."""
    committer = store.create_sweep("s", {}, "", {}, 30)
    adam, sgd, queued = make_trial("adam", 1, beta1=0.9), make_trial("sgd", 0), make_trial("sgd", 2)
    seconds = timedelta(seconds=1)

    def recorded(trial: Trial, attempt: int, *records: EpochRecord) -> EpochsRecorded:
        return EpochsRecorded(trial.key, attempt, records, setup_s=0.1, train_s=1.0, eval_s=0.5)

    committer.commit([TrialPlanned(trial, NOW) for trial in (adam, sgd, queued)])
    committer.commit(
        [
            AttemptStarted(adam.key, 1, WORKER, NOW + seconds),
            recorded(adam, 1, make_record(1, val_loss=9.0)),
            AttemptEnded(adam.key, 1, "its process died", True, NOW + 2 * seconds),
            AttemptStarted(adam.key, 2, WORKER, NOW + 3 * seconds),
            recorded(adam, 2, make_record(1), make_record(2, val_loss=1.5)),
            TrialFinished(adam.key, 2, TrialState.COMPLETE, NOW + 7 * seconds),
            AttemptStarted(sgd.key, 1, WORKER, NOW),
            recorded(sgd, 1, make_record(1, train_loss=np.nan, val_loss=np.inf)),
            TrialFinished(sgd.key, 1, TrialState.DIVERGED, NOW + seconds),
        ]
    )
    return store


def test_trials_have_the_designs_columns_in_order(filled: Store) -> None:
    columns = list(frames.trials(filled, "s").columns)
    assert columns[: len(TRIAL_COLUMNS)] == TRIAL_COLUMNS
    assert columns[len(TRIAL_COLUMNS) :] == [
        "params.lr",
        "params.batch_size",
        "params.weight_decay",
        "params.beta1",
    ]


def test_epochs_have_the_designs_columns_in_order(filled: Store) -> None:
    assert list(frames.epochs(filled, "s").columns) == EPOCH_COLUMNS


def test_an_empty_sweep_gives_empty_frames_of_the_same_form(filled: Store) -> None:
    filled.create_sweep("empty", {}, "", {}, 30)
    for frame in (frames.trials, frames.epochs, frames.attempts):
        empty, full = frame(filled, "empty"), frame(filled, "s")
        shared = [column for column in full.columns if not column.startswith("params.")]
        assert list(empty.columns) == shared
        assert len(empty) == 0
        assert dict(empty.dtypes) == dict(full[shared].dtypes)


def test_dtypes_are_those_that_the_frames_declare(filled: Store) -> None:
    for frame, declared in (
        (frames.trials(filled, "s"), columns.TRIALS),
        (frames.epochs(filled, "s"), columns.EPOCHS),
        (frames.attempts(filled, "s"), columns.ATTEMPTS),
    ):
        assert {name: str(frame[name].dtype) for name in declared} == dict(declared)


def test_a_trial_tells_its_last_epoch_its_times_and_its_worker(filled: Store) -> None:
    adam = frames.trials(filled, "s").iloc[0]
    assert (adam["optimizer"], adam["state"], adam["attempt"], adam["epochs"]) == ("adam", "complete", 2, 2)
    assert adam["val_loss"] == 1.5
    assert (adam["queued_s"], adam["wall_s"]) == (3.0, 4.0)
    assert adam["started_at"] == pd.Timestamp(NOW + timedelta(seconds=3))
    assert adam["worker"] == "1/0"


def test_a_number_that_is_not_finite_is_nan(filled: Store) -> None:
    sgd = frames.trials(filled, "s").iloc[1]
    assert sgd["state"] == "diverged"
    assert np.isnan(sgd["val_loss"])


def test_a_trial_that_has_not_begun_has_no_times(filled: Store) -> None:
    queued = frames.trials(filled, "s").iloc[2]
    assert queued["state"] == "queued"
    assert pd.isna(queued["started_at"])
    assert pd.isna(queued["worker"])
    assert np.isnan(queued["queued_s"])


def test_a_hyperparameter_that_an_optimizer_has_not_is_nan(filled: Store) -> None:
    beta1 = frames.trials(filled, "s")["params.beta1"]
    assert beta1[0] == 0.9
    assert np.isnan(beta1[1])


def test_an_epoch_comes_from_the_latest_attempt_that_trained_it(filled: Store) -> None:
    epochs = frames.epochs(filled, "s")
    adam = epochs[epochs["optimizer"] == "adam"]
    assert list(adam["epoch"]) == [1, 2]
    assert list(adam["val_loss"]) == [2.1, 1.5]


def test_every_attempt_is_there_with_its_end(filled: Store) -> None:
    attempts = frames.attempts(filled, "s")
    adam = attempts[attempts["optimizer"] == "adam"]
    assert list(adam["attempt"]) == [1, 2]
    assert list(adam["why"]) == ["its process died", "complete"]
    assert list(adam["strike"]) == [True, False]


def test_an_attempt_counts_what_it_trained_itself(
    store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    trial = make_trial()
    lost, more, none = [make_record(1), make_record(2)], [make_record(2), make_record(3)], (make_record(1),)
    committer.commit(
        [
            TrialPlanned(trial, NOW),
            AttemptStarted(trial.key, 1, WORKER, NOW),
            EpochsRecorded(trial.key, 1, tuple(lost), setup_s=0.1, train_s=1.0, eval_s=0.5),
            AttemptStarted(trial.key, 2, WORKER, NOW, none),  # from a checkpoint, and lost at once
            AttemptStarted(trial.key, 3, WORKER, NOW, none),
            EpochsRecorded(trial.key, 3, tuple(more), setup_s=0.1, train_s=1.5, eval_s=0.75),
        ]
    )
    attempts = frames.attempts(store, "s")
    assert list(attempts["epochs"]) == [2, 0, 2]
    assert list(attempts["samples"]) == [400, 0, 400]
    assert list(attempts["steps"]) == [8, 0, 8]
    assert list(attempts["train_s"]) == [1.0, 0.0, 1.0]


def test_an_epoch_that_the_latest_attempt_has_not_reached_again_does_not_count(
    store: Store, make_trial: Callable[..., Trial], make_record: Callable[..., EpochRecord]
) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    trial = make_trial()

    def recorded(attempt: int, *records: EpochRecord) -> EpochsRecorded:
        return EpochsRecorded(trial.key, attempt, records, setup_s=0.1, train_s=1.0, eval_s=0.5)

    committer.commit(
        [
            TrialPlanned(trial, NOW),
            AttemptStarted(trial.key, 1, WORKER, NOW),
            recorded(1, make_record(1), make_record(2)),
            AttemptStarted(trial.key, 2, WORKER, NOW),
            recorded(2, make_record(1)),
        ]
    )
    assert list(frames.epochs(store, "s")["epoch"]) == [1]
    committer.commit([AttemptStarted(trial.key, 3, WORKER, NOW, (make_record(1),))])  # from a checkpoint
    assert list(frames.epochs(store, "s")["epoch"]) == [1]


def test_a_truth_that_an_optimizer_has_not_is_nan_too(store: Store, make_trial: Callable[..., Trial]) -> None:
    committer = store.create_sweep("s", {}, "", {}, 30)
    committer.commit(
        [TrialPlanned(make_trial("sgd"), NOW), TrialPlanned(make_trial("x", nesterov=True), NOW)]
    )
    nesterov = frames.trials(store, "s")["params.nesterov"].tolist()
    assert np.isnan(nesterov[0])
    assert nesterov[1] is True
