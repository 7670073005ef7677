import math
from collections.abc import Callable

import pytest
from search_runs import ask_all, stored

from sweeper.experiment import Experiment
from sweeper.search import Search

MakeExperiment = Callable[..., Experiment]


def lrs(experiment: Experiment) -> list[float]:
    return [float(t.params["lr"]) for t in ask_all(Search(experiment)) if t.key.number]


def test_a_range_is_visited_from_its_ends_inwards(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("search.sampler=grid", "optimizers.sgd={}", "budget.trials_per_optimizer=10")
    places = [(math.log10(lr) + 4) / 4 for lr in lrs(experiment)]
    assert places == pytest.approx([0, 1, 1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8, 3 / 8, 7 / 8])


@pytest.mark.parametrize("n", [3, 5, 9, 17])
def test_two_to_a_power_and_one_trials_are_evenly_spaced(n: int, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "search.sampler=grid", "optimizers.adam={}", f"budget.trials_per_optimizer={n + 1}"
    )
    places = sorted((math.log10(lr) + 5) / 4 for lr in lrs(experiment))
    assert places == pytest.approx([k / (n - 1) for k in range(n)])


def test_a_grid_that_is_extended_keeps_its_trials(make_experiment: MakeExperiment) -> None:
    few, more = (make_experiment("search.sampler=grid", f"budget.trials_per_optimizer={n}") for n in (5, 9))
    old, new = ask_all(Search(few)), ask_all(Search(more))
    assert new[: len(old)] == old
    assert ask_all(Search(more, [stored(trial) for trial in old])) == new[len(old) :]


def test_a_choice_is_visited_in_its_order_again_and_again(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "search.sampler=grid", "optimizers.sgd.lr=[0.1, 0.001, 0.01]", "budget.trials_per_optimizer=8"
    )
    assert lrs(experiment) == [0.1, 0.001, 0.01, 0.1, 0.001, 0.01, 0.1]


def test_all_but_the_learning_rate_is_fixed_where_the_untuned_trial_has_it(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(
        "search.sampler=grid",
        "optimizers.adam={}",
        "budget.trials_per_optimizer=40",
        "space.batch_size=[32, 64, 128, 256]",
        "space.schedule=['cosine', 'linear', 'constant']",
        "space.weight_decay={low = 1e-6, high = 1e-2, scale = 'log'}",
    )
    others = [{k: v for k, v in t.params.items() if k != "lr"} for t in ask_all(Search(experiment))]
    fixed = {"beta1": 0.9, "beta2": 0.999, "batch_size": 64, "schedule": "constant", "sampling": "shuffle"}
    assert others[1] == pytest.approx({**fixed, "weight_decay": 1e-4})  # 0 lies outside: the middle
    assert all(values == others[1] for values in others[1:])


def test_momentums_grid_is_over_its_effective_learning_rate(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "search.sampler=grid", "optimizers.momentum={}", "budget.trials_per_optimizer=20"
    )
    trials = ask_all(Search(experiment))[1:]
    assert {round(float(t.params["momentum"]), 9) for t in trials} == {0.9}, "no eighth trial without"
    assert [float(t.params["lr"]) * 10 for t in trials[:3]] == pytest.approx([1e-4, 1, 1e-2])


def test_local_searchs_grid_is_over_its_step(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "search.sampler=grid", "optimizers.local_search={}", "budget.trials_per_optimizer=4"
    )
    assert [t.params["step"] for t in ask_all(Search(experiment))[1:]] == pytest.approx(
        [1e-5, 1e-2, math.sqrt(1e-7)]
    )


def test_an_arm_without_a_learning_rate_to_search_repeats_one_setting_with_other_seeds(
    make_experiment: MakeExperiment,
) -> None:
    for arm in ("lbfgs", "random_search"):
        experiment = make_experiment(
            "search.sampler=grid", f"optimizers.{arm}={{}}", "budget.trials_per_optimizer=5"
        )
        trials = ask_all(Search(experiment))[1:]
        assert len({tuple(t.params.items()) for t in trials}) == 1
        assert len({t.seed for t in trials}) == 4


def test_each_of_several_searches_walks_the_whole_grid(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "search.sampler=grid", "search.repeats=3", "optimizers.sgd={}", "budget.trials_per_optimizer=16"
    )
    trials = ask_all(Search(experiment))[1:]
    for k in range(3):
        walked = [float(t.params["lr"]) for t in trials if t.key.number % 3 == k]
        assert walked == pytest.approx([1e-4, 1, 1e-2, 1e-3, 1e-1])


def test_trials_of_a_grid_are_independent_and_have_the_arms_common_seeds(
    make_experiment: MakeExperiment,
) -> None:
    trials = ask_all(Search(make_experiment("search.sampler=grid", "budget.trials_per_optimizer=4")))
    assert all(t.independent is (t.key.number > 0) for t in trials)
    assert len({t.seed for t in trials}) == 4
