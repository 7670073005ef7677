import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import qmc
from search_runs import ask_all, stored

from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.search import Search

MakeExperiment = Callable[..., Experiment]

SHARED = (
    "search.sampler=qmc",
    "space.batch_size={low = 16, high = 1024, scale = 'log'}",
    "space.weight_decay={low = 1e-6, high = 1e-2, scale = 'log'}",
)


def units(trials: list[Trial], optimizer: str) -> np.ndarray:
    """lr and weight decay of an optimizer's proposed trials as places in [0, 1] of their log ranges."""
    chosen = [t.params for t in trials if t.key.optimizer == optimizer and t.key.number]
    lr_low = -4 if optimizer == "sgd" else -5
    return np.array(
        [
            ((math.log10(p["lr"]) - lr_low) / 4, (math.log10(p["weight_decay"]) + 6) / 4)  # type: ignore[arg-type]
            for p in chosen
        ]
    )


def test_all_but_the_untuned_trial_are_independent(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment(*SHARED, "budget.trials_per_optimizer=9")))
    assert all(trial.independent is (trial.key.number > 0) for trial in trials)


@pytest.mark.parametrize("seed", range(5))
def test_points_are_more_even_than_random_ones(seed: int, make_experiment: MakeExperiment) -> None:
    few = ("budget.trials_per_optimizer=65", f"experiment.seed={seed}", "optimizers.sgd={}")
    sobol, random = (
        qmc.discrepancy(units(ask_all(Search(make_experiment(*few, *SHARED, f"search.sampler={s}"))), "sgd"))
        for s in ("qmc", "random")
    )
    assert sobol < 0.5 * random


def test_an_arms_own_and_the_shared_columns_are_a_net_together(make_experiment: MakeExperiment) -> None:
    # Indices 32 to 63 of Sobol's sequence are a net in base 2: each of 32 equal parts of either column holds
    # one point, and none of the 16 quarter-by-quarter boxes is empty.
    settings = (*SHARED, "space.batch_size=64", "budget.trials_per_optimizer=64")
    experiment = make_experiment(*settings, "optimizers.rmsprop={}")
    points = units(ask_all(Search(experiment)), "rmsprop")[31:]
    assert len(points) == 32
    for column in points.T:
        assert sorted((column * 32).astype(int)) == list(range(32))
    quarters = {(int(x * 4), int(y * 4)) for x, y in points}
    assert len(quarters) == 16


def test_points_are_distinct(make_experiment: MakeExperiment) -> None:
    trials = ask_all(
        Search(make_experiment(*SHARED, "budget.trials_per_optimizer=300", "optimizers.adam={}"))
    )
    assert len({trial.params["lr"] for trial in trials}) == 300


def test_arms_share_the_values_of_the_shared_dimensions(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        *SHARED,
        "budget.trials_per_optimizer=20",
        *(f"optimizers.{name}={{}}" for name in ("sgd", "adam", "gd")),
    )
    trials = ask_all(Search(experiment))
    for number in range(1, 20):
        sgd, adam, gd = (t.params for t in trials if t.key.number == number)
        assert sgd["batch_size"] == adam["batch_size"]
        assert sgd["weight_decay"] == adam["weight_decay"] == gd["weight_decay"]
        assert len({sgd["lr"], adam["lr"], gd["lr"]}) == 3


def test_an_arm_with_a_dimension_of_its_own_changes_nothing_for_others(
    make_experiment: MakeExperiment,
) -> None:
    alone = make_experiment(*SHARED, "optimizers.sgd={}")
    beside = make_experiment(*SHARED, "optimizers.adamw={weight_decay=[0.01, 0.1]}", "optimizers.sgd={}")
    both = ask_all(Search(beside))
    assert [t for t in both if t.key.optimizer == "sgd"] == ask_all(Search(alone))
    for number in (1, 2):
        sgd, adamw = (
            next(t for t in both if t.key.number == number and t.key.optimizer == name)
            for name in ("sgd", "adamw")
        )
        assert sgd.params["batch_size"] == adamw.params["batch_size"]


def test_a_search_that_is_interrupted_proposes_the_same_points(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*SHARED, "budget.trials_per_optimizer=10")
    whole = ask_all(Search(experiment))
    assert ask_all(Search(experiment, [stored(t) for t in whole[:31]])) == whole[31:]


def test_another_seed_scrambles_otherwise(make_experiment: MakeExperiment) -> None:
    one, other = (
        ask_all(Search(make_experiment(*SHARED, "optimizers.sgd={}", f"experiment.seed={seed}")))
        for seed in (0, 1)
    )
    assert [t.params["lr"] for t in one[1:]] != [t.params["lr"] for t in other[1:]]
    assert [t.params["batch_size"] for t in one[1:]] != [t.params["batch_size"] for t in other[1:]]


def test_every_eighth_trial_has_no_momentum(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*SHARED, "optimizers.momentum={}", "budget.trials_per_optimizer=25")
    assert [t.key.number for t in ask_all(Search(experiment)) if t.params["momentum"] == 0] == [8, 16, 24]


def test_an_arm_with_nothing_to_search_has_its_one_setting(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment("search.sampler=qmc", "optimizers.random_search={}")))
    assert [dict(t.params) for t in trials] == [{"weight_decay": 0.0}] * 3
