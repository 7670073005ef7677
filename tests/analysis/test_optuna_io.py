"""Optuna studies: real ones, in which every trial survives; and importances."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState

from sweeper.analysis import optuna_io
from sweeper.analysis.optuna_storage import storage_at
from sweeper.errors import UsageError
from sweeper.experiment import Experiment
from sweeper.records import TrialState

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
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    is_journal = request.param == "journal"
    return tmp_path / "optuna.journal" if is_journal else f"sqlite:///{tmp_path / 'optuna.db'}"


def export(experiment: Experiment, location: Path | str, trials: pd.DataFrame = TRIALS) -> list[str]:
    with storage_at(location) as storage:
        return optuna_io.export_studies(trials, EPOCHS, experiment, storage)


def study(name: str, location: Path | str) -> optuna.Study:
    """What Optuna itself reads back."""
    at = JournalStorage(JournalFileBackend(str(location))) if isinstance(location, Path) else location
    return optuna.load_study(study_name=name, storage=at)


def test_every_finished_trial_survives(experiment: Experiment, location: Path | str) -> None:
    assert export(experiment, location) == ["s/adam", "s/adam/final"]
    untuned, good, diverged, pruned, failed = (read := study("s/adam", location)).trials
    assert read.best_trial.number == 0
    assert (good.state, good.value, good.intermediate_values) == (OptunaState.COMPLETE, 1.5, {1: 1.8, 2: 1.5})
    assert good.params == {"lr": 0.1, "batch_size": 64, "schedule": "constant"}
    assert good.user_attrs["params"] == good.params
    assert untuned.params["lr"] == 1.0  # outside of what was searched
    assert (diverged.state, diverged.user_attrs["state"]) == (OptunaState.PRUNED, "diverged")
    assert diverged.intermediate_values[1] == 2.0
    assert math.isnan(diverged.intermediate_values[2])
    assert pruned.state is OptunaState.PRUNED
    assert (failed.state, failed.user_attrs["error"]) == (OptunaState.FAIL, "it broke")
    assert failed.user_attrs["val_loss"] is None
    assert good.duration is not None
    assert good.duration.total_seconds() == 5
    assert study("s/adam/final", location).trials[0].value == 1.4


def test_distributions_are_the_searched_ones_widened_to_hold_every_trial(
    make_experiment: Callable[..., Experiment], location: Path | str
) -> None:
    experiment = make_experiment(
        'optimizers.adam={lr={low=1e-4,high=0.2,scale="log"},beta1={low=0.5,high=0.99,scale="one_minus_log"}}',
        "space.batch_size=[32, 64]",
    )
    trials = TRIALS.assign(
        **{"params.beta1": [0.9, 0.0, *[0.9] * 5], "params.batch_size": [16.0, *[64.0] * 6]}
    )
    export(experiment, location, trials)
    untuned, second, *_ = study("s/adam", location).trials
    assert second.distributions["lr"] == FloatDistribution(1e-4, 1.0, log=True)
    assert second.distributions["batch_size"] == CategoricalDistribution((32, 64, 16))
    beta = second.distributions["one_minus_beta1"]
    assert isinstance(beta, FloatDistribution)
    assert (beta.log, beta.low, beta.high) == (True, pytest.approx(0.01), 1.0)
    assert untuned.params["one_minus_beta1"] == pytest.approx(0.1)
    assert "beta1" not in untuned.params
    assert untuned.user_attrs["params"]["beta1"] == 0.9  # to the last bit


def test_a_study_that_exists_is_neither_doubled_nor_changed(
    experiment: Experiment, location: Path | str
) -> None:
    export(experiment, location)
    with pytest.raises(UsageError, match="'s/adam' exists already"):
        export(experiment, location)
    assert len(study("s/adam", location).trials) == 5


def test_another_sweep_goes_to_the_same_place(experiment: Experiment, location: Path | str) -> None:
    export(experiment, location)
    assert export(experiment, location, TRIALS.assign(sweep="t")) == ["t/adam", "t/adam/final"]
    assert len(study("s/adam", location).trials) == len(study("t/adam", location).trials) == 5


def test_an_export_that_fails_leaves_nothing(
    experiment: Experiment, location: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(optuna_io.STATES, TrialState.FAILED, None)
    with pytest.raises(Exception, match="None"):
        export(experiment, location)
    monkeypatch.undo()
    assert len(export(experiment, location)) == 2
    assert len(study("s/adam", location).trials) == 5


def test_a_complete_trial_without_a_finite_value_is_kept_with_its_attributes(
    experiment: Experiment, location: Path | str
) -> None:
    export(experiment, location, pd.DataFrame([trial(1), trial(2, loss=math.nan)]))
    odd = study("s/adam", location).trials[1]
    assert (odd.state, odd.user_attrs["state"], odd.user_attrs["val_loss"]) == (
        OptunaState.FAIL,
        "complete",
        None,
    )


@pytest.mark.parametrize("url", ["nothing", "mysql+absent://u:SECRET@x/y", "sqlite:////no/such/dir/x.db"])
def test_a_storage_that_cannot_be_opened_is_a_line_without_a_password(url: str) -> None:
    with pytest.raises(UsageError, match="can't be opened") as caught, storage_at(url):
        pass
    assert "\n" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_journal_that_is_none_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "optuna.journal").write_text("no journal\n")
    for path in (tmp_path / "optuna.journal", tmp_path):
        with pytest.raises(UsageError, match="can't be opened"), storage_at(path):
            pass


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
