"""The benchmark of the ways of searching, at a size that shows its accounting."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sweeper import pruning

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "search_efficiency.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("search_efficiency", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["search_efficiency"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_search_spends_its_epochs_and_a_pruned_one_on_more_trials(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = benchmark.Plan(arms=("sgd",), trials=6, epochs=3, train_size=100)
    courses, n_epochs = benchmark.all_searches(plan, seed=0)
    assert [course.search for course in courses] == list(benchmark.SEARCHES)
    for course in courses:
        assert course.epochs == sorted(course.epochs)
        assert max(course.epochs) <= plan.budget == 18
        prunes = course.search.endswith("asha")
        assert (course.n_trials > 6) is prunes
        assert (course.n_pruned > 0) is prunes
        assert (course.planned_epochs < 18) is prunes
    assert n_epochs < 4 * 18, "equal trials are trained once"
    benchmark.Results(plan, courses).print_all()
    assert "Reaching the other's best within 18 epochs" in capsys.readouterr().out


def test_what_was_never_reached_took_infinitely_many_epochs(benchmark: ModuleType) -> None:
    course = benchmark.Course("tpe+none", "sgd", 0, [9, 18], [2.0, 1.5], 3, 0, 18, 1.5)
    assert (course.best(8), course.best(9), course.best()) == (math.inf, 2.0, 1.5)
    assert (course.epochs_to(1.8), course.epochs_to(1.4)) == (18, math.inf)


def test_a_trial_that_is_pruned_costs_the_epochs_to_its_rung(benchmark: ModuleType) -> None:
    plan = benchmark.Plan(arms=("sgd",), trials=2, epochs=4, train_size=100)
    experiment = plan.experiment("sgd", "random+asha", 0)
    assert experiment.pruning.rungs == (1, 3)
    trainings = benchmark.Trainings(experiment)
    search, pruner = benchmark.Search(experiment), pruning.Halving(experiment.pruning)
    untuned, trial = search.ask(), search.ask()
    assert benchmark.trained(untuned, experiment, trainings, pruner)[1].value == "complete"
    pruner.passed(100, {1: 0.0})  # another one was far better there
    curve, state = benchmark.trained(trial, experiment, trainings, pruner)
    assert (list(curve), state.value) == ([1], "pruned")
    assert trainings.n_epochs == 5
