"""Optuna studies: real ones, in which every trial survives; and importances."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState as OptunaState

from sweeper.analysis import optuna_io
from sweeper.errors import UsageError
from sweeper.experiment import Experiment

MOMENT = pd.Timestamp("2026-03-01 12:00", tz="UTC")


def trial(number: int, state: str = "complete", loss: float = 1.5, **more: object) -> dict[str, object]:
    known = dict.fromkeys(("train_loss", "val_accuracy", "test_loss", "test_accuracy", "train_s"), math.nan)
    return {
        "sweep": "s",
        "optimizer": "adam",
        "number": number,
        "phase": "search",
        "origin": "proposed" if number else "default",
        "independent": number > 0,
        "setting": number,
        "seed": 7,
        "state": state,
        "attempt": 1,
        "epochs": 2,
        "samples": 100,
        **known,
        "val_loss": loss,
        "worker": "w",
        "error": None,
        "started_at": MOMENT,
        "finished_at": MOMENT + pd.Timedelta(seconds=5),
        "params.lr": 10.0**-number,
        "params.batch_size": 64.0,
        "params.schedule": "constant",
        "params.momentum": math.nan,
        **more,
    }


TRIALS = pd.DataFrame(
    [
        trial(0, **{"params.lr": 1.0}),
        trial(1),
        trial(2, "diverged", math.nan),
        trial(3, "pruned"),
        trial(4, "failed", math.nan, error="it broke"),
        trial(5, "running", math.nan),
        trial(0, phase="final", origin="final", setting=1, test_loss=1.4),
    ]
)
EPOCHS = pd.DataFrame(
    [
        {"optimizer": "adam", "phase": "search", "number": n, "epoch": e, "val_loss": v, "train_loss": v}
        for n, e, v in [(1, 1, 1.8), (1, 2, 1.5), (2, 1, 2.0), (2, 2, math.nan), (3, 1, 1.9)]
    ]
)


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment("optimizers.adam={}")


@pytest.fixture(params=["journal", "database"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.storages.BaseStorage:
    if request.param == "journal":
        return optuna_io.storage_at(tmp_path / "optuna.journal")
    return optuna_io.storage_at(f"sqlite:///{tmp_path / 'optuna.db'}")


def test_every_finished_trial_survives(experiment: Experiment, storage: optuna.storages.BaseStorage) -> None:
    assert optuna_io.export_studies(TRIALS, EPOCHS, experiment, storage) == ["s/adam", "s/adam/final"]
    study = optuna.load_study(study_name="s/adam", storage=storage)
    untuned, good, diverged, pruned, failed = study.trials
    assert study.best_trial.number == 0
    assert (good.state, good.value, good.intermediate_values) == (OptunaState.COMPLETE, 1.5, {1: 1.8, 2: 1.5})
    assert good.params == {"lr": 0.1, "batch_size": 64, "schedule": "constant"}
    assert untuned.params["lr"] == 1.0  # outside of what was searched
    assert (diverged.state, diverged.user_attrs["state"]) == (OptunaState.PRUNED, "diverged")
    assert diverged.intermediate_values[1] == 2.0
    assert math.isnan(diverged.intermediate_values[2])
    assert pruned.state is OptunaState.PRUNED
    assert (failed.state, failed.user_attrs["error"]) == (OptunaState.FAIL, "it broke")
    assert failed.user_attrs["val_loss"] is None
    assert good.duration is not None
    assert good.duration.total_seconds() == 5
    final = optuna.load_study(study_name="s/adam/final", storage=storage)
    assert final.trials[0].value == 1.4


def test_a_study_that_exists_is_neither_doubled_nor_changed(experiment: Experiment, tmp_path: Path) -> None:
    storage = optuna_io.storage_at(tmp_path / "optuna.journal")
    optuna_io.export_studies(TRIALS, EPOCHS, experiment, storage)
    with pytest.raises(UsageError, match="'s/adam' exists already"):
        optuna_io.export_studies(TRIALS, EPOCHS, experiment, storage)
    assert len(optuna.load_study(study_name="s/adam", storage=storage).trials) == 5


@pytest.mark.parametrize("url", ["nothing", "mysql+absent://x/y", "sqlite:////no/such/dir/x.db"])
def test_a_storage_that_cannot_be_opened_is_a_line(url: str) -> None:
    with pytest.raises(UsageError, match="can't be opened") as caught:
        optuna_io.storage_at(url)
    assert "\n" not in str(caught.value)


def test_importances_find_what_matters_and_sum_to_1(experiment: Experiment) -> None:
    generator = np.random.default_rng(0)
    lr = 10 ** generator.uniform(-4, 0, 60)
    frame = pd.DataFrame([trial(k) for k in range(1, 61)])
    frame = frame.assign(
        **{"params.lr": lr, "params.momentum": generator.uniform(0, 0.9, 60)},
        val_loss=1 + 0.3 * (np.log10(lr) + 2) ** 2,
    )
    found = optuna_io.importances(frame, experiment, "adam")
    assert sum(found.values()) == pytest.approx(1)
    assert found["lr"] > 0.6
    assert found == optuna_io.importances(frame, experiment, "adam")


def test_few_trials_or_one_dimension_have_no_importances(experiment: Experiment) -> None:
    assert optuna_io.importances(TRIALS, experiment, "adam") == {}
    many = pd.DataFrame([trial(k, loss=1 + k / 100) for k in range(1, 20)])
    assert optuna_io.importances(many, experiment, "adam") == {}
