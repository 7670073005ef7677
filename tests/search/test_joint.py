import warnings
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from search_runs import ask_all, distance_from_1e_2, settings, stored

from sweeper.experiment import Experiment
from sweeper.records import Origin, StoredTrial, Trial, TrialState
from sweeper.search import Search
from sweeper.store import Store, TrialPlanned

MakeExperiment = Callable[..., Experiment]

ARMS = ("sgd", "momentum", "gd")


def joint(make_experiment: MakeExperiment, *more: str, sampler: str = "tpe", n: int = 16) -> Experiment:
    return make_experiment(
        "search.mode=joint",
        f"search.sampler={sampler}",
        f"budget.trials_per_optimizer={n}",
        "space.weight_decay={low = 1e-6, high = 1e-2, scale = 'log'}",
        *(f"optimizers.{name}={{}}" for name in ARMS),
        *more,
    )


def momentum_is_best(trial: Trial) -> float:
    return distance_from_1e_2(trial) / 2 + (0.0 if trial.key.optimizer == "momentum" else 0.8)


def test_the_arms_budgets_are_spent_together(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment)), momentum_is_best)
    assert len(trials) == 48
    for name in ARMS:
        numbers = [t.key.number for t in trials if t.key.optimizer == name]
        assert numbers == list(range(len(numbers)))


def test_every_arms_untuned_trial_comes_first(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment)))
    assert [str(t.key) for t in trials[:3]] == [f"{name}/0" for name in ARMS]
    assert [t.origin for t in trials[:4]] == [Origin.DEFAULT] * 3 + [Origin.PROPOSED]


def test_more_trials_go_to_the_optimizer_that_does_best(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment, n=24)), momentum_is_best)
    guided = Counter(t.key.optimizer for t in trials if not t.independent and t.key.number)
    assert sum(guided.values()) == 72 - 3 - 36
    assert guided["momentum"] > 0.6 * sum(guided.values())


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_independent_trials_are_those_of_the_arms_own_searches(
    sampler: str, make_experiment: MakeExperiment
) -> None:
    trials = ask_all(Search(joint(make_experiment, sampler=sampler)), momentum_is_best)
    apart = ask_all(
        Search(joint(make_experiment, "search.mode=per_optimizer", f"search.sampler={sampler}", n=40)),
    )
    expected = {t.key: t for t in apart if t.independent}
    independent = [t for t in trials if t.independent and t.key in expected]
    assert len(independent) == (45 if sampler != "tpe" else 24)
    for trial in independent:
        assert (trial.params, trial.seed) == (expected[trial.key].params, expected[trial.key].seed)


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_which_arm_an_independent_trial_has_depends_on_its_place_alone(
    sampler: str, make_experiment: MakeExperiment
) -> None:
    experiment = joint(make_experiment, sampler=sampler)
    one, other = Search(experiment), Search(experiment)
    first = [one.ask() for _ in range(20)]
    assert ask_all(other, lambda trial: float(trial.key.number))[:20] == first
    assert len({t.key.optimizer for t in first if t}) == 3


def test_only_guided_trials_are_never_forced_to_zero_momentum(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment, n=40)), momentum_is_best)
    momentum = [t for t in trials if t.key.optimizer == "momentum" and t.key.number % 8 == 0]
    assert all((t.params["momentum"] == 0) is t.independent for t in momentum if t.key.number)
    assert {t.independent for t in momentum if t.key.number} == {True, False}


def test_proposals_name_the_optimizer_and_its_own_parameters(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment, sampler="random")))
    proposal = next(t.proposal for t in trials if t.key.optimizer == "momentum" and t.key.number)
    assert set(proposal) == {
        *("optimizer", "momentum.effective_lr", "momentum.one_minus_momentum"),
        *("batch_size", "weight_decay"),
    }
    assert proposal["optimizer"] == "momentum"


def test_proposals_survive_the_store_and_a_rebuilt_study(make_experiment: MakeExperiment) -> None:
    experiment = joint(make_experiment, n=10)
    whole = ask_all(Search(experiment), momentum_is_best)
    known: list[StoredTrial] = []
    for expected in whole:  # the coordinator dies after every single trial
        trial = Search(experiment, known).ask()
        assert trial == expected
        known.append(stored(trial, val_loss=momentum_is_best(trial)))
    assert Search(experiment, known).ask() is None


def test_the_store_gives_every_proposal_back(make_experiment: MakeExperiment, store: Store) -> None:
    experiment = joint(make_experiment, "space.schedule=['constant', 'cosine']", n=10)
    trials = ask_all(Search(experiment), momentum_is_best)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    store.create_sweep("s", {}, "", {}, 30).commit([TrialPlanned(trial, now) for trial in trials])
    assert {known.key: known.trial for known in store.trials("s")} == {trial.key: trial for trial in trials}


def test_trials_under_way_survive_a_restart(make_experiment: MakeExperiment) -> None:
    experiment = joint(make_experiment, n=10)
    trials = ask_all(Search(experiment), momentum_is_best)[:24]
    states = [TrialState.RUNNING if k % 3 else TrialState.COMPLETE for k in range(24)]
    search = Search(experiment, [stored(t, state) for t, state in zip(trials, states, strict=True)])
    for trial, state in zip(trials, states, strict=True):
        if not state.is_finished:
            search.tell(trial, TrialState.DIVERGED, None, 1)
    assert len(ask_all(search)) == 6


def test_no_two_trials_of_an_arm_are_equal(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(joint(make_experiment, n=24)), momentum_is_best)
    for name in ARMS:
        assert len(set(settings(trials, name))) == len(settings(trials, name))


def test_an_arm_with_nothing_to_search_can_be_proposed(make_experiment: MakeExperiment) -> None:
    experiment = joint(make_experiment, "space.weight_decay=0.0", "optimizers.random_search={}")
    trials = ask_all(Search(experiment))
    proposals = [t.proposal for t in trials if t.key.optimizer == "random_search"]
    assert proposals[0] == {}
    assert proposals[1:] == [{"optimizer": "random_search"}] * (len(proposals) - 1)


def test_optunas_other_warnings_are_still_seen(make_experiment: MakeExperiment) -> None:
    filters = list(warnings.filters)
    ask_all(Search(joint(make_experiment, n=6)))
    assert warnings.filters == filters
