from collections.abc import Callable
from dataclasses import replace

import pytest
from search_runs import ask_all, distance_from_1e_2, stored

from sweeper.errors import UsageError
from sweeper.experiment import Experiment
from sweeper.records import Phase, StoredTrial, TrialKey, TrialState
from sweeper.search import Search
from sweeper.search.priors import priors

MakeExperiment = Callable[..., Experiment]

TPE = ("search.sampler=tpe", "optimizers.sgd={}", "optimizers.momentum={}", "budget.trials_per_optimizer=20")


@pytest.fixture
def experiment(make_experiment: MakeExperiment) -> Experiment:
    return make_experiment(*TPE)


def finished(earlier: Experiment, state: TrialState = TrialState.COMPLETE) -> list[StoredTrial]:
    trials = ask_all(Search(earlier), distance_from_1e_2)
    return [stored(trial, state, distance_from_1e_2(trial)) for trial in trials]


def test_complete_trials_are_known_with_their_score(experiment: Experiment) -> None:
    trials = finished(experiment)
    found = priors(experiment, experiment, trials)
    assert set(found) == {"sgd", "momentum"}
    assert len(found["sgd"]) == len(found["momentum"]) == 20
    assert [p.proposal for p in found["sgd"]] == [t.trial.proposal for t in trials[::2]]
    assert found["sgd"][5].score == trials[10].val_loss


def test_settings_come_back_in_the_new_searchs_coordinates(experiment: Experiment) -> None:
    trials = finished(experiment)
    momentum = priors(experiment, experiment, trials)["momentum"]
    for prior, known in zip(momentum, trials[1::2], strict=True):
        assert prior.proposal == pytest.approx(dict(known.trial.proposal))


def test_only_complete_trials_of_the_search_are_known(experiment: Experiment) -> None:
    trials = finished(experiment)
    first = trials[0]
    final = replace(first, trial=replace(first.trial, key=TrialKey("sgd", Phase.FINAL, 0)))
    others = [
        replace(trial, state=state)
        for trial, state in zip(
            trials[1:6],
            [
                TrialState.PRUNED,
                TrialState.DIVERGED,
                TrialState.FAILED,
                TrialState.RUNNING,
                TrialState.QUEUED,
            ],
            strict=True,
        )
    ]
    found = priors(experiment, experiment, [final, *others, trials[6]])
    assert {name: len(known) for name, known in found.items()} == {"sgd": 1}


def test_only_settings_inside_the_new_space_are_known(
    experiment: Experiment, make_experiment: MakeExperiment
) -> None:
    narrow = make_experiment(*TPE, "optimizers.sgd.lr={low = 1e-3, high = 1e-1, scale = 'log'}")
    trials = finished(experiment)
    found = priors(narrow, experiment, trials)
    inside = [t for t in trials[::2] if 1e-3 <= float(t.trial.params["lr"]) <= 1e-1]
    assert [p.proposal["lr"] for p in found["sgd"]] == [t.trial.params["lr"] for t in inside]
    assert 0 < len(inside) < 20


def test_a_setting_that_the_new_arm_has_no_key_for_is_another_setting(
    make_experiment: MakeExperiment,
) -> None:
    new = make_experiment(*TPE, "optimizers.adam={}")
    values = {"torchs": "1e-8", "another": "1e-4"}
    known = {
        name: finished(make_experiment(*TPE, f"optimizers.adam.eps={eps}")) for name, eps in values.items()
    }
    earlier = make_experiment(*TPE, "optimizers.adam={}")
    assert len(priors(new, earlier, known["torchs"])["adam"]) == 20
    another = priors(new, earlier, known["another"])["adam"]
    assert len(another) == 1, "the untuned trial has torch's eps, whatever the file says"


def test_an_initialization_that_is_searched_now_was_the_models_then(make_experiment: MakeExperiment) -> None:
    earlier = make_experiment(*TPE)
    new = make_experiment(*TPE, "space.init=['kaiming', 'xavier']")
    found = priors(new, earlier, finished(earlier))
    assert {p.proposal["init"] for p in found["sgd"]} == {"kaiming"}


def test_an_arm_of_another_class_is_another_arm(make_experiment: MakeExperiment) -> None:
    def of(name: str) -> Experiment:
        table = f'class="torch.optim.{name}", lr={{low=1e-4, high=1e-1, scale="log"}}'
        return make_experiment(*TPE, f"optimizers.mine={{{table}}}")

    found = priors(of("RAdam"), of("Adamax"), finished(of("Adamax")))
    assert set(found) == {"sgd", "momentum"}
    assert set(priors(of("RAdam"), of("RAdam"), finished(of("RAdam")))) == {"sgd", "momentum", "mine"}


def test_of_many_the_best_50_and_the_latest_150_are_known(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "optimizers.sgd={}",
        "search.sampler=tpe",
        "budget.trials_per_optimizer=300",
        "search.startup_trials=300",
    )
    trials = finished(experiment)
    known = priors(experiment, experiment, trials)["sgd"]
    assert len(known) == 200
    assert [p.score for p in known[50:]] == [t.val_loss for t in trials[150:]]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "experiment.objective=val_accuracy",
            'experiment.objective is "val_accuracy" here and "val_loss" there',
        ),
        ("data.train_size=300", "data.train_size is 300 here and 200 there"),
        ("data.augment=true", "data.augment is true here and false there"),
        ("model.name=mlp", 'model.name is "mlp" here and "linear" there'),
        ("model.hidden=[64, 32]", "model.hidden is [64, 32] here and [256] there"),
        ("loss.name=hinge", 'loss.name is "hinge" here and "cross_entropy" there'),
        ("budget.epochs=3", "budget.epochs is 3 here and 2 there"),
    ],
)
def test_sweeps_whose_scores_do_not_compare_are_refused(
    setting: str, message: str, experiment: Experiment, make_experiment: MakeExperiment
) -> None:
    with pytest.raises(UsageError) as refused:
        priors(make_experiment(*TPE, setting), experiment, finished(experiment))
    assert str(refused.value) == f"warm start from tiny: {message}; scores compare only where both are equal"


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_a_search_that_learns_nothing_takes_no_priors(
    sampler: str, experiment: Experiment, make_experiment: MakeExperiment
) -> None:
    with pytest.raises(UsageError, match=f'search.sampler = "{sampler}" learns from no trial; legal: tpe'):
        priors(make_experiment(*TPE, f"search.sampler={sampler}"), experiment, [])


def test_a_sweep_of_which_nothing_fits_is_refused(
    experiment: Experiment, make_experiment: MakeExperiment
) -> None:
    elsewhere = make_experiment("search.sampler=tpe", "optimizers.adam={}")
    with pytest.raises(UsageError, match=r"none of its 40 complete search trials .* the space of adam$"):
        priors(elsewhere, experiment, finished(experiment))


# --- what the search makes of them ------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("search.repeats=2",), ("search.mode=joint",)])
def test_guided_trials_start_from_what_is_known(
    more: tuple[str, ...], make_experiment: MakeExperiment
) -> None:
    earlier = make_experiment(*TPE, "budget.trials_per_optimizer=60", "experiment.seed=5")
    new = make_experiment(*TPE, *more, "budget.trials_per_optimizer=8", "search.startup_trials=0")
    known = priors(new, earlier, finished(earlier))
    informed = [t for t in ask_all(Search(new, priors=known), distance_from_1e_2) if t.key.number]
    assert len(informed) == 14
    distances = sorted(distance_from_1e_2(t) for t in informed if t.key.optimizer == "sgd")
    assert distances[len(distances) // 2] < 0.12


def test_what_is_known_changes_no_independent_trial_and_no_count(experiment: Experiment) -> None:
    known = priors(experiment, experiment, finished(experiment))
    informed = ask_all(Search(experiment, priors=known), distance_from_1e_2)
    plain = ask_all(Search(experiment), distance_from_1e_2)
    assert len(informed) == len(plain) == 40
    assert [t for t in informed if t.independent] == [t for t in plain if t.independent]
    assert [t for t in informed if not t.independent] != [t for t in plain if not t.independent]


def test_a_resumed_search_with_the_same_priors_goes_on_as_before(experiment: Experiment) -> None:
    known = priors(experiment, experiment, finished(experiment))
    whole = ask_all(Search(experiment, priors=known), distance_from_1e_2)
    before = [stored(t, val_loss=distance_from_1e_2(t)) for t in whole[:30]]
    assert ask_all(Search(experiment, before, known), distance_from_1e_2) == whole[30:]
