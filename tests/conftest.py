"""What many tests share: stores, experiments, images, and where the real CIFAR-10 is."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sweeper import experiment as experiments
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Origin, Phase, Trial, TrialKey
from sweeper.store import Store
from sweeper.training import cifar
from sweeper.training.data import Dataset, Split

if TYPE_CHECKING:
    from postgres_server import PostgresServer

MakeExperiment = Callable[..., Experiment]

TINY = (
    "data.name=synthetic",
    "data.train_size=200",
    "data.val_size=100",
    "data.test_size=100",
    "model.name=linear",
    "budget.trials_per_optimizer=3",
    "budget.epochs=2",
    "search.sampler=random",
    "final.top_k=0",
)


@pytest.fixture
def make_experiment() -> MakeExperiment:
    """Makes a small experiment, with settings on top: `make_experiment("budget.epochs=1")`."""

    def make(*settings: str, name: str = "tiny") -> Experiment:
        return experiments.loads(f'[experiment]\nname = "{name}"', (*TINY, *settings))

    return make


@pytest.fixture
def tiny(make_experiment: MakeExperiment) -> Experiment:
    """Six optimizers, three trials each, two epochs of a linear model on generated images."""
    return make_experiment()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator["PostgresServer"]:
    """A running PostgreSQL server, the same for all tests of this process: leave it running."""
    try:
        from postgres_server import PostgresServer
    except ImportError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(PostgresServer())
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"PostgreSQL can't be started here: {error}")
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty SQLite store in a file."""
    opened = Store.open(f"sqlite:///{tmp_path / 'store.db'}", create=True)
    yield opened
    opened.close()


def brightness_images() -> Dataset:
    """200 training, 100 validation and 100 test images whose brightness tells the class."""
    generator = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = np.arange(n, dtype=np.int64) % 10
        noise = generator.normal(0, 30, (n, 3, 32, 32))
        pixels = (labels.reshape(-1, 1, 1, 1) * 20 + 40 + noise).clip(0, 255).astype(np.uint8)
        return Split(pixels, labels)

    train = split(200)
    return Dataset(
        name="synthetic",
        source="a test",
        sha256="0" * 64,
        n_classes=10,
        train=train,
        val=split(100),
        test=split(100),
        mean=(130.0, 130.0, 130.0),
        std=(60.0, 60.0, 60.0),
    )


@pytest.fixture
def images() -> Dataset:
    """Small images that are easy to tell apart."""
    return brightness_images()


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    """Makes a trial: `make_trial("adam", 3, lr=1e-3)`."""

    def make(optimizer: str = "sgd", number: int = 1, seed: int = 7, **params: float) -> Trial:
        return Trial(
            key=TrialKey(optimizer, Phase.SEARCH, number),
            seed=seed,
            params={"lr": 0.01, "batch_size": 50, "weight_decay": 0.0, **params},
            proposal={},
            origin=Origin.PROPOSED,
            independent=True,
            setting=number,
        )

    return make


@pytest.fixture
def make_record() -> Callable[..., EpochRecord]:
    """Makes an epoch record: `make_record(2, val_loss=1.5)`."""

    def make(epoch: int, **values: float | None) -> EpochRecord:
        known = {"train_loss": 2.0, "val_loss": 2.1, "val_accuracy": 0.2, "lr": 0.01}
        return EpochRecord(
            epoch=epoch,
            samples=200 * epoch,
            steps=4 * epoch,
            grad_evals=4 * epoch,
            train_s=0.5,
            eval_s=0.25,
            recorded_at=datetime.now(UTC),
            **{**known, **values},
        )

    return make


@pytest.fixture(scope="session")
def cifar10_dir() -> Path:
    """The directory that SWEEPER_DATA names, if it holds CIFAR-10; else the test is skipped."""
    named = os.environ.get("SWEEPER_DATA")
    if not named or cifar.find(cifar.CIFAR10, Path(named)) is None:
        pytest.skip("real CIFAR-10 is not there: SWEEPER_DATA names no directory that holds it")
    return Path(named)
