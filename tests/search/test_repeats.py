from collections.abc import Callable

import pytest
from search_runs import ask_all, distance_from_1e_2, stored

from sweeper.experiment import Experiment
from sweeper.records import StoredTrial, Trial
from sweeper.search import Search

MakeExperiment = Callable[..., Experiment]


@pytest.fixture
def experiment(make_experiment: MakeExperiment) -> Experiment:
    return make_experiment(
        "optimizers.adam={}", "search.sampler=tpe", "search.repeats=2", "budget.trials_per_optimizer=30"
    )


def test_searches_of_an_arm_learn_nothing_from_each_other(experiment: Experiment) -> None:
    def even_are_known(trial: Trial) -> float:
        return distance_from_1e_2(trial) if trial.key.number % 2 == 0 else 2.0

    def odd_are_otherwise(trial: Trial) -> float:
        return distance_from_1e_2(trial) if trial.key.number % 2 == 0 else 1 / (1 + trial.key.number)

    one, other = ask_all(Search(experiment), even_are_known), ask_all(Search(experiment), odd_are_otherwise)
    even, odd = ([k for k in range(30) if k % 2 == parity] for parity in (0, 1))
    assert [one[k] for k in even] == [other[k] for k in even]
    assert [one[k] for k in odd] != [other[k] for k in odd]


def test_every_search_is_told_of_the_untuned_trial(experiment: Experiment) -> None:
    search = Search(experiment)
    ask_all(search, distance_from_1e_2)
    studies = search._mode._arms["adam"]._studies
    assert [len(study._results) for study in studies] == [15, 16]
    assert studies[0]._results[0] == studies[1]._results[0]


def test_start_up_trials_are_those_of_a_single_search(
    experiment: Experiment, make_experiment: MakeExperiment
) -> None:
    single = make_experiment("optimizers.adam={}", "search.sampler=tpe", "budget.trials_per_optimizer=30")
    assert ask_all(Search(experiment))[:16] == ask_all(Search(single))[:16]


def test_a_rebuilt_search_goes_on_in_each_of_its_searches(experiment: Experiment) -> None:
    known: list[StoredTrial] = []
    whole = ask_all(Search(experiment), distance_from_1e_2)
    for expected in whole:  # the coordinator dies after every single trial
        trial = Search(experiment, known).ask()
        assert trial == expected
        known.append(stored(trial, val_loss=distance_from_1e_2(trial)))
