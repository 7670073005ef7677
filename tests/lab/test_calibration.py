"""Paces from measurements made by hand, and one real calibration on tiny images."""

import json
from dataclasses import replace

import pytest
from conftest import MakeExperiment

from sweeper.errors import SweeperError
from sweeper.experiment.sections import Resources
from sweeper.lab import calibration_run, capacity
from sweeper.lab.calibration import ArmPace, Measurement, as_rows, calibration
from sweeper.lab.calibration_worker import Stopwatch, points
from sweeper.training.data import Dataset

MEASURED = Measurement(
    optimizer="sgd",
    batch_size=50,
    samples=1000,
    steps=20,
    epochs=10.0,
    train_s=2.0,
    eval_s=0.5,
    n_evaluated=500,
    setup_s=0.1,
)

KNOWN = {"device": "a test", "n_workers": 2, "uses_ray": True, "load_s": 1.0, "ready_s": 2.0}


def test_a_pace_is_the_median_over_processes_and_rounds() -> None:
    slower = replace(MEASURED, train_s=4.0, eval_s=1.5, setup_s=0.3)
    disturbed = replace(MEASURED, train_s=90.0, eval_s=90.0, setup_s=90.0)
    found = calibration([MEASURED, slower, disturbed], **KNOWN)
    assert found.arms == {"sgd": ArmPace(((50, 0.004),))}
    assert found.eval_image_s == pytest.approx(0.003)
    assert found.setup_s == pytest.approx(0.3)


def test_between_two_batch_sizes_seconds_are_linear_in_the_steps() -> None:
    # 1 ms a sample and 10 ms a step.
    pace = ArmPace(((10, 0.002), (100, 0.0011)))
    assert pace.sample_s(10) == pytest.approx(0.002)
    assert pace.sample_s(40) == pytest.approx(0.00125)
    assert pace.sample_s(1000) == pytest.approx(0.0011)
    assert ArmPace(((0, 0.5),)).sample_s() == 0.5


def test_what_a_step_takes_beyond_its_samples_is_told_apart() -> None:
    # 1 ms a sample, 3 s a step; each step sees 2 epochs.
    few = replace(
        MEASURED, optimizer="bfgs", batch_size=0, samples=400, steps=4, epochs=8.0, train_s=0.4 + 12
    )
    more = replace(few, samples=2000, steps=4, train_s=2 + 12)
    pace = calibration([few, more], **KNOWN).arms["bfgs"]
    assert pace.sample_s() == pytest.approx(0.001)
    assert (pace.step_s, pace.step_epochs) == (pytest.approx(3.0), pytest.approx(2.0))


def test_where_noise_hides_a_steps_own_seconds_all_are_the_samples() -> None:
    few = replace(MEASURED, optimizer="bfgs", batch_size=0, samples=400, steps=4, train_s=4.0)
    more = replace(few, samples=2000, train_s=3.0)
    pace = calibration([few, more], **KNOWN).arms["bfgs"]
    assert pace.step_s == 0
    assert pace.sample_s() == pytest.approx(7.0 / 2400)


def test_each_arm_is_measured_at_the_batch_sizes_that_it_may_have(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "model.input_size=8",
        "optimizers.adam={}",
        "optimizers.sgd.batch_size={low=16, high=128, scale='log'}",
        "optimizers.gd={}",
        "optimizers.lbfgs={}",
        "optimizers.local_search={}",
        "space.batch_size=[64, 32]",
    )
    found = [(point.arm.name, point.batch_size) for point in points(experiment)]
    assert found == [
        ("adam", 32),
        ("adam", 64),
        ("sgd", 16),
        ("sgd", 45),
        ("sgd", 128),
        ("gd", 0),
        ("lbfgs", 0),
        ("lbfgs", 0),
        ("local_search", 0),
    ]


def test_every_kind_of_rule_is_measured_in_this_process(
    make_experiment: MakeExperiment, images: Dataset
) -> None:
    experiment = make_experiment(
        "data.train_size=200",
        "budget.eval_every=2",
        "optimizers.adam.lr=1e-3",
        "optimizers.gd={}",
        "optimizers.lbfgs={}",
        "optimizers.random_search={}",
        "optimizers.mine={class='torch.optim.RAdam', lr=1e-3}",
        "space.batch_size=50",
    )
    stopwatch = Stopwatch(experiment, images, use_gpu=False, seconds=0.05)
    assert stopwatch.begin() > 0
    rows = list(stopwatch.measure())
    assert {row.optimizer for row in rows} == {"adam", "gd", "lbfgs", "random_search", "mine"}
    for row in rows:
        assert row.samples > 0
        assert row.steps > 0
        assert row.train_s > 0
        assert row.n_evaluated >= 100
    found = calibration([Measurement(**row) for row in json.loads(json.dumps(as_rows(rows)))], **KNOWN)
    assert all(pace.sample_s(50) > 0 for pace in found.arms.values())


def test_a_process_of_its_own_measures_and_says_on_what(
    make_experiment: MakeExperiment, images: Dataset
) -> None:
    experiment = make_experiment("optimizers.sgd={}", "space.batch_size=50", "resources.gpus_per_trial=0")
    found = calibration_run.measure(experiment, images, "inline", n_trials=3, load_s=0.5, seconds=0.05)
    assert (found.n_workers, found.uses_ray, found.slowdown, found.load_s) == (1, False, 1.0, 0.5)
    assert found.device
    assert found.ready_s > 0
    assert found.arms["sgd"].sample_s(50) > 0


def test_a_process_that_dies_is_one_line_that_says_how_to_do_without(
    make_experiment: MakeExperiment, images: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_run.sys, "executable", "/bin/false")
    experiment = make_experiment("resources.gpus_per_trial=0")
    with pytest.raises(SweeperError, match=r"^the calibration failed: .*; --no-calibrate plans without"):
        calibration_run.measure(experiment, images, "inline", n_trials=3, load_s=0)


def test_as_many_workers_as_cores_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_n_cores", lambda: 8)
    monkeypatch.setattr(capacity, "_n_gpus", lambda: 0)
    assert capacity.n_workers(Resources(), "auto") == 8
    assert capacity.n_workers(Resources(cpus_per_trial=3), "auto") == 2
    assert capacity.n_workers(Resources(cpus_per_trial=9), "auto") == 1
    assert capacity.n_workers(Resources(), 50) == 50
    assert capacity.n_workers(Resources(), "inline") == 1


def test_as_many_workers_as_shares_of_gpus_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_n_cores", lambda: 8)
    monkeypatch.setattr(capacity, "_n_gpus", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert capacity.n_workers(Resources(), "auto") == 2
    assert capacity.n_workers(Resources(gpus_per_trial=0.5), "auto") == 4
    assert capacity.n_workers(Resources(gpus_per_trial=0), "auto") == 8
    seen = [capacity.visible_gpu(place, Resources(gpus_per_trial=0.5)) for place in range(4)]
    assert [gpu["CUDA_VISIBLE_DEVICES"] for gpu in seen] == ["3", "3", "5", "5"]
    assert capacity.visible_gpu(0, Resources(gpus_per_trial=0)) == {}
