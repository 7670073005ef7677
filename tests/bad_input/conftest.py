"""How many examples the property tests try, and a store with two sweeps for the commands to read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_input.sweeps import write_sweep
from hypothesis import HealthCheck, settings

from sweeper.store import Store

# HYPOTHESIS_PROFILE=long tries many more examples, other ones every time. The home below is shared by all
# examples of a module: none of them may change it.
SHARED: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("ci", max_examples=30, derandomize=True, **SHARED)
settings.register_profile("long", max_examples=3_000, **SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def subnormal_numbers() -> None:
    """Hypothesis draws them; a worker that trained in this process before has turned them to zero."""
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The commands' current directory, with `quick.toml` and `sweeper.db` in it; nothing else is above it."""
    directory = tmp_path_factory.mktemp("a") / "b" / "c" / "d"
    directory.mkdir(parents=True)
    (directory / "quick.toml").write_text(
        '[experiment]\nname = "quick"\n[data]\nname = "synthetic"\ntrain_size = 200\nval_size = 100\n'
        'test_size = 100\n[model]\nname = "linear"\n[optimizers.sgd]\n'
    )
    store = Store.open(f"sqlite:///{directory / 'sweeper.db'}", create=True)
    write_sweep(store, "s")
    write_sweep(store, "other")
    store.close()
    before = Path.cwd()
    os.chdir(directory)
    yield directory
    os.chdir(before)
