from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest
from search_runs import ask_all, distance_from_1e_2, stored

from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, StoredTrial, TrialKey, TrialState
from sweeper.search import Search

MakeExperiment = Callable[..., Experiment]


def test_each_optimizer_is_asked_for_exactly_its_trials(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment("budget.trials_per_optimizer=5")))
    assert len(trials) == 30
    assert sorted({(t.key.optimizer, t.key.number) for t in trials}) == sorted(
        (name, number)
        for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
        for number in range(5)
    )


def test_optimizers_take_turns(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment("budget.trials_per_optimizer=3")))
    assert [t.key.number for t in trials] == [0] * 6 + [1] * 6 + [2] * 6


def test_trial_0_is_what_a_user_of_torch_gets_who_changes_nothing(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("space.batch_size=[32, 64, 128, 256]", "space.weight_decay=5e-4")
    first = {t.key.optimizer: t for t in ask_all(Search(experiment)) if t.key.number == 0}
    common = {"batch_size": 64, "weight_decay": 0.0, "schedule": "constant", "sampling": "shuffle"}
    assert first["sgd"].params == {"lr": 1e-3, **common}
    assert first["momentum"].params == {"lr": 1e-3, "momentum": 0.9, **common}
    assert first["adagrad"].params == {"lr": 1e-2, **common}
    assert first["rmsprop"].params == {"lr": 1e-2, "decay": 0.99, **common}
    assert first["adam"].params == {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, **common}
    assert all(t.origin is Origin.DEFAULT and not t.independent for t in first.values())


def test_trial_0_is_told_to_optuna_only_where_it_lies_in_the_space(make_experiment: MakeExperiment) -> None:
    inside = ask_all(Search(make_experiment()))[0]
    assert inside.proposal == {"lr": 1e-3, "batch_size": 64}
    elsewhere = make_experiment("space.weight_decay=5e-4")
    assert ask_all(Search(elsewhere))[0].proposal == {}


def test_trial_0_has_torchs_eps_where_eps_is_searched(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "optimizers.adam.eps={low = 1e-9, high = 1e-6, scale = 'log'}", "budget.trials_per_optimizer=1"
    )
    (trial,) = ask_all(Search(experiment))
    assert trial.proposal["eps"] == 1e-8


def test_momentums_trial_0_is_proposed_by_its_effective_learning_rate(
    make_experiment: MakeExperiment,
) -> None:
    trial = ask_all(Search(make_experiment()))[1]
    assert trial.key.optimizer == "momentum"
    assert trial.proposal["effective_lr"] == pytest.approx(1e-2)


def test_every_arms_trial_n_has_the_same_seed_and_shared_values(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "budget.trials_per_optimizer=12",
        "space.batch_size={low = 16, high = 256, scale = 'log'}",
        "space.weight_decay={low = 1e-6, high = 1e-2, scale = 'log'}",
    )
    trials = ask_all(Search(experiment))
    for number in range(1, 12):
        same = [t for t in trials if t.key.number == number]
        assert len({t.seed for t in same}) == 1
        assert len({t.params["batch_size"] for t in same}) == 1
        assert len({t.params["weight_decay"] for t in same}) == 1
    assert len({t.params["batch_size"] for t in trials}) > 5
    assert len({t.seed for t in trials}) == 12


def test_an_arms_own_dimension_is_drawn_for_it_alone(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment()))
    lrs = {t.key.optimizer: t.params["lr"] for t in trials if t.key.number == 1}
    assert len(set(lrs.values())) == 6


def test_no_two_trials_of_an_arm_are_equal(make_experiment: MakeExperiment) -> None:
    trials = ask_all(Search(make_experiment("budget.trials_per_optimizer=40", "search.sampler=tpe")))
    for arm in ("sgd", "momentum", "adam"):
        settings = [tuple(t.params.items()) for t in trials if t.key.optimizer == arm]
        assert len(set(settings)) == len(settings) == 40


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_independent_trials_depend_on_seed_arm_and_number_alone(
    name: str, make_experiment: MakeExperiment
) -> None:
    few = make_experiment(f"search.sampler={name}", "budget.trials_per_optimizer=8")
    more = make_experiment(
        f"search.sampler={name}",
        "budget.trials_per_optimizer=8",
        "optimizers.adam={}",  # one arm instead of six
    )
    wanted = [t for t in ask_all(Search(few)) if t.key.optimizer == "adam" and t.independent]
    other = ask_all(Search(more), value=lambda t: float(t.key.number))
    assert wanted == [t for t in other if t.independent]
    assert [t.key.number for t in wanted] == ([1, 2, 3, 4] if name == "tpe" else list(range(1, 8)))


def test_another_seed_proposes_other_settings(make_experiment: MakeExperiment) -> None:
    one, other = (ask_all(Search(make_experiment(f"experiment.seed={seed}"))) for seed in (1, 2))
    assert not {t.seed for t in one} & {t.seed for t in other}
    assert [t.params["lr"] for t in one if t.key.number] != [t.params["lr"] for t in other if t.key.number]


def test_settings_stay_inside_their_space(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=60", "search.sampler=tpe")
    for trial in ask_all(Search(experiment), value=lambda t: float(t.params["lr"])):
        p = trial.params
        if trial.key.optimizer == "momentum":
            assert float(p["lr"]) / (1 - float(p["momentum"])) * (1 + 1e-12) >= 1e-4
            assert 0 <= float(p["momentum"]) <= 0.99
        if trial.key.optimizer == "adam":
            assert 1e-5 <= float(p["lr"]) <= 1e-1
            assert 0 <= float(p["beta1"]) <= 0.99
            assert 0.5 <= float(p["beta2"]) <= 0.9999


def test_every_eighth_trial_has_no_momentum(make_experiment: MakeExperiment) -> None:
    for sampler in ("random", "tpe"):
        experiment = make_experiment("budget.trials_per_optimizer=33", f"search.sampler={sampler}")
        trials = ask_all(Search(experiment))
        for arm, rate in (("momentum", "momentum"), ("nesterov", "momentum"), ("adam", "beta1")):
            zero = [t.key.number for t in trials if t.key.optimizer == arm and t.params[rate] == 0]
            assert zero == [8, 16, 24, 32]


def test_momentum_is_not_zeroed_where_zero_lies_outside_its_range(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "budget.trials_per_optimizer=17",
        "optimizers.momentum.momentum={low = 0.5, high = 0.99, scale = 'one_minus_log'}",
    )
    assert all(t.params["momentum"] >= 0.5 for t in ask_all(Search(experiment)))


def test_what_optuna_saw_gives_the_same_setting_back(make_experiment: MakeExperiment) -> None:
    from sweeper import optimizers, space

    experiment = make_experiment("budget.trials_per_optimizer=33")
    for trial in ask_all(Search(experiment)):
        if trial.origin is Origin.PROPOSED:
            decoded = space.decode(experiment.arm(trial.key.optimizer).space, trial.proposal)
            assert optimizers.rule_params(decoded) == trial.params


def test_tpe_searches_where_results_are_good(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=60", "search.sampler=tpe", "optimizers.adam={}")
    trials = ask_all(Search(experiment), value=distance_from_1e_2)
    guided = [distance_from_1e_2(t) for t in trials if not t.independent and t.key.number]
    independent = [distance_from_1e_2(t) for t in trials if t.independent]
    assert len(guided) == 29
    assert sum(guided) / len(guided) < 0.5 * sum(independent) / len(independent)


def test_accuracies_are_maximized(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "experiment.objective=val_accuracy",
        "budget.trials_per_optimizer=60",
        "search.sampler=tpe",
        "optimizers.adam={}",
    )
    trials = ask_all(Search(experiment), value=lambda t: 1 - distance_from_1e_2(t))
    guided = [distance_from_1e_2(t) for t in trials if not t.independent and t.key.number]
    assert sorted(guided)[len(guided) // 2] < 0.1


def test_diverged_and_failed_trials_do_not_disturb_the_search(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=40", "search.sampler=tpe", "optimizers.sgd={}")
    search = Search(experiment)
    guided = []
    while (trial := search.ask()) is not None:
        lr = float(trial.params["lr"])
        if lr > 0.05:
            search.tell(trial, TrialState.DIVERGED, None)
        elif trial.key.number % 5 == 4:
            search.tell(trial, TrialState.FAILED, None)
        else:
            search.tell(trial, TrialState.COMPLETE, distance_from_1e_2(trial))
        if not trial.independent and trial.key.number:
            guided.append(lr)
    assert sum(lr > 0.05 for lr in guided) <= len(guided) // 4, "it learned where sgd diverges"


def test_a_rebuilt_search_goes_on_where_the_old_one_stopped(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=6")
    whole = ask_all(Search(experiment))
    known = [stored(t) for t in whole[:20]]
    assert ask_all(Search(experiment, known)) == whole[20:]


def test_a_rebuilt_tpe_search_does_not_repeat_its_proposals(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=30", "search.sampler=tpe", "optimizers.adam={}")
    known: list[StoredTrial] = []
    for _ in range(30):  # the coordinator dies after every single trial
        trial = Search(experiment, known).ask()
        assert trial is not None
        known.append(stored(trial, val_loss=distance_from_1e_2(trial)))
    lrs = [t.trial.params["lr"] for t in known]
    assert len(set(lrs)) == 30
    assert Search(experiment, known).ask() is None


def test_a_rebuilt_search_can_be_told_of_trials_that_were_under_way(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=10", "search.sampler=tpe")
    trials = ask_all(Search(experiment))[:30]
    known = [stored(t, TrialState.QUEUED if k % 2 else TrialState.COMPLETE) for k, t in enumerate(trials)]
    search = Search(experiment, known)
    for trial in trials[1::2]:
        search.tell(trial, TrialState.COMPLETE, 1.0)
    assert len(ask_all(search)) == 30


def test_a_long_history_is_forgotten_but_for_the_best_and_the_latest(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=420", "search.sampler=tpe", "optimizers.sgd={}")
    search = Search(experiment)
    trials = ask_all(search, value=distance_from_1e_2)
    assert len(trials) == 420
    (study,) = search._mode._arms["sgd"]._studies
    finished = {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    remembered = study._study.get_trials(deepcopy=False, states=tuple(finished))
    assert 200 <= len(remembered) < 300
    best = min(trials, key=distance_from_1e_2)
    assert best.proposal["lr"] in {t.params["lr"] for t in remembered}


def test_an_arm_with_nothing_to_search_runs_its_setting_with_many_seeds(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(
        "optimizers.sgd.lr=0.1", "space.batch_size=64", "budget.trials_per_optimizer=4"
    )
    trials = ask_all(Search(experiment))
    assert [t.params["lr"] for t in trials] == [1e-3, 0.1, 0.1, 0.1]
    assert len({t.seed for t in trials}) == 4


# --- arms beyond the lecture's table ----------------------------------------------------------------------


def test_trial_0_has_only_the_shared_dimensions_that_its_arm_uses(make_experiment: MakeExperiment) -> None:
    names = ("gd", "adamw", "lbfgs", "random_search", "local_search")
    experiment = make_experiment(*(f"optimizers.{name}={{}}" for name in names))
    first = {t.key.optimizer: t.params for t in ask_all(Search(experiment)) if t.key.number == 0}
    assert first == {
        "gd": {"lr": 1e-3, "weight_decay": 0.0, "schedule": "constant"},
        "adamw": {
            **{"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 1e-2},
            **{"batch_size": 64, "schedule": "constant", "sampling": "shuffle"},
        },
        "lbfgs": {"lr": 1.0, "history": 10, "weight_decay": 0.0},
        "random_search": {"weight_decay": 0.0},
        "local_search": {"step": 1e-3, "weight_decay": 0.0},
    }


def test_a_full_batch_arm_shares_the_values_that_it_uses_with_the_others(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(
        "optimizers.sgd={}",
        "optimizers.gd={}",
        "space.weight_decay={low=1e-5, high=1e-2, scale='log'}",
        "budget.trials_per_optimizer=6",
    )
    trials = ask_all(Search(experiment))
    for number in range(1, 6):
        sgd, gd = (t.params for t in trials if t.key.number == number)
        assert sgd["weight_decay"] == gd["weight_decay"]
        assert "batch_size" in sgd
        assert "batch_size" not in gd


def test_trials_of_an_arm_with_nothing_to_search_differ_by_their_seeds(
    make_experiment: MakeExperiment,
) -> None:
    trials = ask_all(Search(make_experiment("optimizers.random_search={}")))
    assert [dict(t.params) for t in trials] == [{"weight_decay": 0.0}] * 3
    assert len({t.seed for t in trials}) == 3


def test_trial_0_has_the_models_initialization_where_initializations_are_searched(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment("space.init=['kaiming', 'xavier', 'normal']", "model.init=xavier")
    trials = ask_all(Search(experiment))
    assert trials[0].params["init"] == "xavier"
    assert trials[0].proposal["init"] == "xavier"
    assert {t.params["init"] for t in trials} <= {"kaiming", "xavier", "normal"}


@pytest.mark.parametrize("name", ["adamw", "nadam"])
def test_every_eighth_trial_of_adams_kin_has_no_first_moment(
    name: str, make_experiment: MakeExperiment
) -> None:
    trials = ask_all(Search(make_experiment(f"optimizers.{name}={{}}", "budget.trials_per_optimizer=17")))
    assert [t.key.number for t in trials if t.params["beta1"] == 0] == [8, 16]


def test_a_class_of_torch_is_searched_in_its_own_space(make_experiment: MakeExperiment) -> None:
    table = 'class="torch.optim.RAdam", lr={low=1e-4, high=1e-2, scale="log"}, beta1=[0.8, 0.9]'
    experiment = make_experiment(f"optimizers.radam={{{table}}}", "budget.trials_per_optimizer=10")
    first, *others = ask_all(Search(experiment))
    assert first.params == {
        **{"lr": 1e-3, "beta1": 0.9, "weight_decay": 0},
        **{"batch_size": 64, "schedule": "constant", "sampling": "shuffle"},
    }
    assert first.proposal == {"lr": 1e-3, "beta1": 0.9, "batch_size": 64}
    assert all(1e-4 <= float(t.params["lr"]) <= 1e-2 and t.params["beta1"] in (0.8, 0.9) for t in others)


def test_integer_dimensions_are_proposed_as_whole_numbers(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "optimizers.lbfgs={history={low=3, high=30}}", "budget.trials_per_optimizer=8"
    )
    assert all(isinstance(t.params["history"], int) for t in ask_all(Search(experiment)))


def test_a_momentum_that_is_searched_alone_is_set_to_zero_only_once(make_experiment: MakeExperiment) -> None:
    for sampler in ("random", "qmc", "tpe"):
        experiment = make_experiment(
            "budget.trials_per_optimizer=33",
            f"search.sampler={sampler}",
            "optimizers.momentum.lr=0.01",
            "optimizers.momentum.momentum={low = 0.0, high = 0.99, scale = 'one_minus_log'}",
        )
        trials = ask_all(Search(experiment))
        assert [t.key.number for t in trials if t.params["momentum"] == 0] == [8]
        assert len({t.params["momentum"] for t in trials}) == 33


def test_a_guided_trial_never_repeats_a_setting(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=20", "search.sampler=tpe", "optimizers.sgd={}")
    known = [stored(trial) for trial in ask_all(Search(experiment))[:16]]
    proposed = Search(experiment, known).ask()
    assert proposed is not None
    assert not proposed.independent
    # A failed trial teaches TPE nothing, so it proposes the same again.
    failed = replace(proposed, key=replace(proposed.key, number=17))
    again = Search(experiment, [*known, stored(failed, TrialState.FAILED)]).ask()
    assert again is not None
    assert again.key == proposed.key
    assert again.params != proposed.params


def test_a_lost_number_is_asked_for_again(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("optimizers.adam={}", "budget.trials_per_optimizer=6")
    whole = ask_all(Search(experiment))
    known = [stored(trial) for trial in whole if trial.key.number != 2]
    assert ask_all(Search(experiment, known)) == [whole[2]]


def test_trials_of_the_finals_are_none_of_the_searchs(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("optimizers.adam={}")
    (first, *_) = whole = ask_all(Search(experiment))
    final = replace(first, key=TrialKey("adam", Phase.FINAL, 0), origin=Origin.FINAL)
    assert ask_all(Search(experiment, [stored(final)])) == whole
