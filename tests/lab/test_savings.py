"""How many epochs a pruner leaves, as a range that the simulation of known cases lies in."""

import pytest
from conftest import MakeExperiment

from sweeper.lab.savings import trained_share


def test_without_a_pruner_all_is_trained(make_experiment: MakeExperiment) -> None:
    assert trained_share(make_experiment(), 2).low == 1


def test_without_a_rung_all_is_trained(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("search.pruner=asha", "budget.epochs=2", "search.min_epochs=2")
    assert trained_share(experiment, 2).low == 1


def test_one_trial_is_the_untuned_one_and_never_judged(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("search.pruner=asha", "budget.trials_per_optimizer=1")
    assert trained_share(experiment, 2).low == 1


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_a_pruner_saves_some_epochs_and_not_more_than_it_could(
    make_experiment: MakeExperiment, pruner: str
) -> None:
    experiment = make_experiment(
        f"search.pruner={pruner}", "budget.trials_per_optimizer=12", "budget.epochs=9"
    )
    share = trained_share(experiment, 2)
    assert 3 / 9 < share.low < share.high < 1  # the first rung lies after epoch 3


def test_more_trials_leave_less_to_be_trained(make_experiment: MakeExperiment) -> None:
    few, many = (
        trained_share(
            make_experiment("search.pruner=asha", "budget.epochs=9", f"budget.trials_per_optimizer={n}"), 2
        )
        for n in (4, 40)
    )
    assert many.high < few.high


def test_searches_that_are_repeated_prune_less(make_experiment: MakeExperiment) -> None:
    settings = ("search.pruner=asha", "budget.epochs=9", "budget.trials_per_optimizer=13")
    one = trained_share(make_experiment(*settings), 2)
    four = trained_share(make_experiment(*settings, "search.repeats=4"), 2)
    assert four.low > one.low


def test_the_same_experiment_has_the_same_range(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("search.pruner=hyperband", "budget.epochs=9")
    assert trained_share(experiment, 2) == trained_share(experiment, 2)
