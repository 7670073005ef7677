import math
import random
from collections.abc import Callable

import optuna
import pytest
from search_runs import ask_all, distance_from_1e_2, stored

from sweeper.experiment import Experiment
from sweeper.records import Trial, TrialState
from sweeper.search import Search
from sweeper.search.samplers import Guide
from sweeper.search.study import Result, Study, suggest_all, worth_remembering

MakeExperiment = Callable[..., Experiment]
PRUNED, FAIL = optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL


@pytest.fixture
def experiment(make_experiment: MakeExperiment) -> Experiment:
    return make_experiment("optimizers.sgd={}", "search.sampler=tpe", "budget.trials_per_optimizer=12")


def study_of(search: Search) -> Study:
    (study,) = search._mode._arms["sgd"]._studies
    return study


def last_told(search: Search) -> optuna.trial.FrozenTrial:
    return study_of(search)._study.get_trials(deepcopy=False)[-1]


def tell_one(experiment: Experiment, *told: object) -> optuna.trial.FrozenTrial:
    search = Search(experiment)
    trial = search.ask()
    assert trial is not None
    search.tell(trial, *told)
    return last_told(search)


def test_a_pruned_trial_is_told_with_its_last_value_at_its_last_epoch(experiment: Experiment) -> None:
    told = tell_one(experiment, TrialState.PRUNED, 1.5, 3)
    assert told.state is PRUNED
    assert told.intermediate_values == {3: 1.5}


def test_a_pruned_trial_counts_as_chance_level_where_it_is_worse(experiment: Experiment) -> None:
    assert tell_one(experiment, TrialState.PRUNED, 50.0, 3).intermediate_values == {3: math.log(10)}


def test_a_pruned_trial_is_the_same_to_optuna_after_a_restart(experiment: Experiment) -> None:
    trial = Search(experiment).ask()
    assert trial is not None
    (known,) = study_of(Search(experiment, [stored(trial, TrialState.PRUNED, 1.5, epochs=3)]))._study.trials
    assert (known.state, known.intermediate_values) == (PRUNED, {3: 1.5})


def test_a_diverged_trial_is_worse_than_any_that_was_pruned(experiment: Experiment) -> None:
    told = tell_one(experiment, TrialState.DIVERGED, 1.5, 9)
    assert told.state is PRUNED
    assert list(told.intermediate_values) == [1]
    assert math.isnan(told.intermediate_values[1])


def test_a_failed_trial_is_told_as_failed(experiment: Experiment) -> None:
    assert tell_one(experiment, TrialState.FAILED, None, 0).state is FAIL


def test_tpe_learns_from_pruned_trials(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("optimizers.sgd={}", "search.sampler=tpe", "budget.trials_per_optimizer=60")
    search = Search(experiment)
    guided = []
    while (trial := search.ask()) is not None:
        loss = distance_from_1e_2(trial)
        state = TrialState.COMPLETE if loss < 0.2 or not trial.key.number else TrialState.PRUNED
        search.tell(trial, state, loss, 2 if state is TrialState.COMPLETE else 1)
        guided += [loss] if not trial.independent and trial.key.number else []
    assert sorted(guided)[len(guided) // 2] < 0.15


def test_the_best_and_the_latest_results_are_remembered_in_their_order() -> None:
    def result(place: int, state: TrialState = TrialState.COMPLETE) -> Result:
        return Result({"lr": place}, state, score=float((place * 37) % 1000), epoch=1)

    results = [result(place) for place in range(1000)]
    results[3] = result(3, TrialState.PRUNED)
    for higher in (False, True):
        kept = [int(r.proposal["lr"]) for r in worth_remembering(results, higher_is_better=higher)]
        assert kept == sorted(kept)
        assert kept[50:] == list(range(850, 1000))
        earlier = sorted(
            (r for k, r in enumerate(results[:850]) if k != 3), key=lambda r: r.score, reverse=higher
        )
        assert sorted(kept[:50]) == sorted(int(r.proposal["lr"]) for r in earlier[:50])


@pytest.mark.parametrize("higher", [True, False])
def test_what_was_forgotten_would_not_be_remembered_later(higher: bool) -> None:
    stream = random.Random(0)
    all_of_them: list[Result] = []
    remembered: list[Result] = []
    for epoch in range(1_000):
        state = stream.choice([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED])
        result = Result({}, state, float(stream.randrange(20)), epoch)
        all_of_them.append(result)
        remembered.append(result)
        if epoch % 100 == 0:
            remembered = worth_remembering(remembered, higher_is_better=higher)
            assert remembered == worth_remembering(all_of_them, higher_is_better=higher)


@pytest.mark.parametrize("mode", ["per_optimizer", "joint"])
def test_an_ask_stays_cheap_because_it_sees_at_most_300_results(
    mode: str, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(
        f"search.mode={mode}",
        "search.sampler=tpe",
        "search.startup_trials=500",
        "budget.trials_per_optimizer=500",
        "optimizers.sgd={}",
    )
    known = [stored(trial, val_loss=1.0) for trial in ask_all_but_last(experiment)]
    search = Search(experiment, known)
    mode_search = search._mode
    study = mode_search._study if mode == "joint" else study_of(search)
    assert len(study._study.get_trials(deepcopy=False)) == 200


def ask_all_but_last(experiment: Experiment) -> list[Trial]:
    search = Search(experiment)
    return [trial for _ in range(499) if (trial := search.ask()) is not None]


def of_optuna(seed: int, fixed: dict[str, float]) -> optuna.samplers.BaseSampler:
    """A sampler of Optuna's own, made for one proposal."""
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=seed)
    return optuna.samplers.PartialFixedSampler(fixed, sampler) if fixed else sampler


@pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
@pytest.mark.parametrize("n_ended", [0, 15])
def test_a_proposal_is_the_one_of_a_sampler_of_optunas_own(
    make_experiment: MakeExperiment, n_ended: int
) -> None:
    searches = []
    for first_loss in (1.0, 2.0):
        search = Search(
            make_experiment("optimizers.adam={}", "search.sampler=tpe", "budget.trials_per_optimizer=20")
        )
        for number in range(n_ended):
            trial = search.ask()
            assert trial is not None
            search.tell(trial, TrialState.COMPLETE, first_loss + (number * 7 % 11) / 20)
        search.ask()  # and one that is under way
        searches.append(search)
    arms = [search._mode._arms["adam"] for search in searches]  # type: ignore[attr-defined]
    searched = arms[0]._trials.distributions
    guide = Guide(searched)
    found = []
    for seed, arm in zip((7, 8, 9, 10), arms * 2, strict=True):  # one guide for both studies, in turn
        for fixed in ({}, {"one_minus_beta1": 1.0}):
            ours, theirs = (
                arm._studies[0].propose(sampler, lambda asked: suggest_all(asked, searched))
                for sampler in (guide.seeded(seed, fixed), of_optuna(seed, fixed))
            )
            assert ours == theirs
            found.append(tuple(ours.values()))
    assert len(set(found)) == len(found)


def test_optuna_still_takes_trials_apart_where_the_guide_does_it_for_it() -> None:
    assert callable(optuna.samplers.TPESampler._get_internal_repr)


def test_the_untuned_trial_teaches_only_where_it_lies_in_the_space(make_experiment: MakeExperiment) -> None:
    outside = make_experiment("optimizers.sgd={}", "search.sampler=tpe", "space.weight_decay=5e-4")
    search = Search(outside)
    (first, *_) = ask_all(search)
    assert first.proposal == {}
    assert len(study_of(search)._results) == 2
