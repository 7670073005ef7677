"""Real CIFAR-10: the numbers have to be those that others measured."""

from pathlib import Path

import pytest

from sweeper import experiment as experiments
from sweeper.api import run
from sweeper.records import Origin, Phase, Trial, TrialKey
from sweeper.training import data
from sweeper.workers.inline import InlineWorkers
from sweeper.workers.protocol import Advanced

pytestmark = [pytest.mark.cifar10, pytest.mark.slow]


def accuracy(cifar10_dir: Path, optimizer: str, params: dict[str, float], *settings: str) -> float:
    """Validation accuracy after the last epoch of one trial."""
    experiment = experiments.loads('[experiment]\nname = "real"', settings)
    images = data.load(experiment, cifar10_dir)
    key = TrialKey(optimizer, Phase.SEARCH, 1)
    trial = Trial(key, 1, {"weight_decay": 0.0, **params}, {}, Origin.PROPOSED, True, 1)
    workers = InlineWorkers(experiment, images)
    workers.advance(workers.start(trial, 1), experiment.budget.epochs)
    (event,) = workers.wait(0)
    assert isinstance(event, Advanced)
    value = event.records[-1].val_accuracy
    assert value is not None
    return value


@pytest.mark.timeout(300)
def test_a_cnn_with_adam_learns_as_well_as_it_should(cifar10_dir: Path) -> None:
    reached = accuracy(cifar10_dir, "adam", {"lr": 1e-3, "batch_size": 128}, "budget.epochs=3")
    assert 0.58 <= reached <= 0.70


@pytest.mark.parametrize(
    ("optimizer", "lr", "low", "high"),
    [("sgd", 0.05, 0.33, 0.43), ("adam", 0.002, 0.39, 0.47)],
)
def test_lenet_on_5000_images_is_in_line_with_the_lectures_table(
    optimizer: str, lr: float, low: float, high: float, cifar10_dir: Path
) -> None:
    small = (
        *("data.train_size=5000", "data.val_size=2000", "data.test_size=5000"),
        *("model.name=lenet", "budget.epochs=4"),
    )
    reached = accuracy(cifar10_dir, optimizer, {"lr": lr, "batch_size": 64}, *small)
    assert low <= reached <= high


def test_softmax_regression_is_in_line_with_the_lectures_numbers(cifar10_dir: Path) -> None:
    small = ("data.train_size=10000", "model.name=linear", "budget.epochs=10")
    reached = accuracy(cifar10_dir, "adam", {"lr": 1e-3, "batch_size": 64}, *small)
    assert 0.31 <= reached <= 0.42


def test_the_shipped_experiment_runs_on_the_real_images(
    cifar10_dir: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = request.config.rootpath / "experiments" / "cifar10-cnn.toml"
    settings = [
        *("budget.trials_per_optimizer=1", "budget.epochs=1"),
        *("data.train_size=1000", "data.val_size=500", "data.test_size=500"),
    ]
    store = f"sqlite:///{tmp_path / 's.db'}"
    sweep = run(file, store, settings=settings, data_dir=cifar10_dir, workers="inline")
    assert list(sweep.trials["state"]) == ["complete"] * 6
    assert sweep.info.facts["data"]["name"] == "cifar10"
