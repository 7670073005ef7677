"""The arithmetic of the benchmarks, and that each says how it is used; what they measure no test can tell."""

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
Load = Callable[[str], ModuleType]
SCRIPTS = ("efficiency", "overhead", "reading", "scale", "startup", "time_to_loss", "training")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def loaded(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_tells_its_options(name: str) -> None:
    # In a process of its own: tests and benchmarks have modules of the same names.
    asked = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--help"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert "--json" in told
    assert f"python benchmarks/{name}.py" in " ".join(told.split())


def test_the_share_counts_two_workers_from_the_first_trial_to_the_last(load: Load) -> None:
    # Two workers: one trains from 0 to 10, 9 s of them; the other from 0 to 4, then from 6 to 12, all of it.
    found = load("efficiency")._figures([(0.0, 10.0, 9.0), (0.0, 4.0, 4.0), (6.0, 12.0, 6.0)])
    assert found["wall_s"] == 12
    assert found["share"] == pytest.approx(19 / 24)
    assert found["s_a_trial"] == pytest.approx(19 / 3)
    # Until 6, when the last one was handed out: 6 of 10 s of the first trial's 9, and 4.
    assert found["share_until_last_dispatch"] == pytest.approx((5.4 + 4) / 12)


def test_both_sides_are_compared_at_the_loss_that_the_worse_one_reached(load: Load) -> None:
    ours = [(1.0, 2.0), (2.0, 1.5), (3.0, 1.0)]
    theirs = [(4.0, 1.8), (8.0, 1.9), (12.0, 1.7), (20.0, 1.5)]
    ratios = load("time_to_loss")._pair(ours, theirs)
    assert ratios["seconds until the loss"] == pytest.approx(2 / 20)
    assert ratios["epochs until the loss"] == pytest.approx(2 / 4)
    assert ratios["seconds an epoch"] == pytest.approx((2 / 2) / (20 / 4))
    assert ratios["lowest loss"] == pytest.approx(1 / 1.5)


def test_ratios_have_a_geometric_mean_with_the_interval_of_t(load: Load) -> None:
    # Logarithms -ln 2, 0, ln 2: mean 0, standard error ln 2 / sqrt 3, and t is 4.302653 with two degrees.
    found = load("time_to_loss")._mean([0.5, 1.0, 2.0])
    assert found["geometric mean"] == pytest.approx(1)
    assert found["high"] == pytest.approx(math.exp(4.302653 * math.log(2) / math.sqrt(3)), rel=1e-6)
    assert found["low"] == pytest.approx(1 / found["high"])
