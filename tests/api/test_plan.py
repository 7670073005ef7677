"""What a plan says of an experiment, with a calibration passed in."""

import math
from pathlib import Path

import pytest
from conftest import MakeExperiment

from sweeper import api
from sweeper.api.plan import Cost, decidable, planned
from sweeper.errors import ExperimentError, UsageError
from sweeper.experiment import Experiment
from sweeper.experiment.searched import decades
from sweeper.lab.calibration import ArmPace, Calibration
from sweeper.space import Range

FINALS = ("final.top_k=1", "final.seeds=4", "final.untuned=true")


def paced(experiment: Experiment) -> Calibration:
    """10 ms a sample for every arm."""
    return Calibration(
        device="a test",
        n_workers=2,
        uses_ray=False,
        load_s=1.0,
        ready_s=1.0,
        setup_s=0.0,
        eval_image_s=0.0,
        arms={arm.name: ArmPace(((0, 0.01),)) for arm in experiment.arms},
    )


def test_each_arm_has_its_trials_epochs_and_samples_search_and_finals_apart(
    make_experiment: MakeExperiment,
) -> None:
    plan = planned(make_experiment(*FINALS))
    assert [arm.optimizer for arm in plan.arms][:2] == ["sgd", "momentum"]
    for arm in plan.arms:
        assert arm.search == Cost(3, 6.0, 1_200)
        assert arm.finals == Cost(8, 16.0, 3_200)
    assert (plan.search.trials, plan.finals.trials, plan.total.trials) == (18, 48, 66)
    assert plan.total.epochs == 132
    assert plan.total.samples == 132 * 200
    assert plan.total.seconds is None


def test_without_finals_there_are_none(make_experiment: MakeExperiment) -> None:
    plan = planned(make_experiment("final.top_k=0"))
    assert plan.finals == Cost(0, 0.0, 0)
    assert plan.decidable is None


def test_a_budget_of_steps_costs_its_own_epochs(make_experiment: MakeExperiment) -> None:
    plan = planned(
        make_experiment("model.input_size=8", "optimizers.newton.steps=2", "optimizers.sgd={}", *FINALS)
    )
    newton, sgd = plan.arms
    assert newton.search.epochs == pytest.approx(3 * 2 * (1 + 1 / 3 + 2 * 1930))
    assert sgd.search.epochs == 6
    assert newton.steps == 2
    assert plan.decidable is None  # nothing is left to compare sgd with


def test_the_space_has_its_dimensions_and_decades(make_experiment: MakeExperiment) -> None:
    plan = planned(make_experiment("budget.trials_per_optimizer=33", "search.sampler=tpe"))
    adam = next(arm for arm in plan.arms if arm.optimizer == "adam")
    assert [(d.name, d.shared) for d in adam.space] == [
        ("lr", False),
        ("beta1", False),
        ("beta2", False),
        ("batch_size", True),
    ]
    assert [d.decades for d in adam.space] == [
        pytest.approx(4),
        pytest.approx(2),
        pytest.approx(math.log10(0.5 / 1e-4)),
        None,
    ]
    assert adam.trials_per_dimension == 8
    assert adam.independent == 16


def test_a_linear_scale_has_no_decades() -> None:
    assert decades(Range(0.0, 1.0)) is None


def test_a_grid_searches_the_learning_rate_alone(make_experiment: MakeExperiment) -> None:
    plan = planned(make_experiment("search.sampler=grid"))
    assert {tuple(d.name for d in arm.space) for arm in plan.arms} == {("lr",), ("effective_lr",)}


def test_an_arm_that_searches_nothing_has_no_trials_per_dimension(make_experiment: MakeExperiment) -> None:
    plan = planned(make_experiment("optimizers.sgd.lr=0.1", "space.batch_size=50"))
    assert (plan.arms[0].space, plan.arms[0].trials_per_dimension) == ((), None)


def test_rungs_are_those_at_which_trials_are_judged(make_experiment: MakeExperiment) -> None:
    asha = planned(make_experiment("search.pruner=asha", "budget.epochs=20", "budget.eval_every=2"))
    assert asha.pruning is not None
    assert asha.pruning.brackets == ((6, 16),)
    assert 0 < asha.pruning.saved.low < asha.pruning.saved.high < 1
    hyperband = planned(make_experiment("search.pruner=hyperband", "budget.epochs=9", "search.min_epochs=1"))
    assert hyperband.pruning is not None
    assert hyperband.pruning.brackets == ((1, 3), (3,), ())
    assert planned(make_experiment()).pruning is None


def test_seconds_are_a_number_without_a_pruner_and_a_range_with_one(make_experiment: MakeExperiment) -> None:
    settings = ("budget.trials_per_optimizer=12", "budget.epochs=9", *FINALS)
    whole = make_experiment(*settings)
    plan = planned(whole, paced(whole))
    assert plan.total.seconds is not None
    assert plan.total.seconds.low == plan.total.seconds.high
    cheaper = make_experiment(*settings, "search.pruner=asha")
    pruned = planned(cheaper, paced(cheaper))
    assert pruned.search.seconds is not None
    assert plan.search.seconds is not None
    assert 1 < pruned.search.seconds.high / pruned.search.seconds.low <= 2.5
    assert pruned.search.seconds.high < plan.search.seconds.high
    assert pruned.finals.epochs == plan.finals.epochs
    assert pruned.finals.seconds is not None
    assert plan.finals.seconds is not None
    assert pruned.finals.seconds.low < plan.finals.seconds.low < pruned.finals.seconds.high
    assert pruned.total.seconds is not None
    assert pruned.total.seconds.high <= 2.5 * pruned.total.seconds.low


def test_max_seconds_caps_the_sweep_and_says_so(make_experiment: MakeExperiment) -> None:
    settings = ("budget.trials_per_optimizer=12", "optimizers.sgd={}", *FINALS)
    for limit, is_capped in ((10, True), (100_000, False), (0, False)):
        experiment = make_experiment(*settings, f"budget.max_seconds={limit}")
        plan = planned(experiment, paced(experiment))
        assert plan.is_capped is is_capped
        assert plan.total.seconds is not None
        assert (plan.total.seconds.low < 20) is is_capped


def test_what_seeds_can_decide_is_asked_for_one_and_two_standard_deviations() -> None:
    asked: list[tuple[int, int, float]] = []

    def power(n_seeds: int, n_others: int, difference_sd: float) -> float:
        asked.append((n_seeds, n_others, difference_sd))
        return difference_sd / 4

    found = decidable(10, 5, power, lambda n_comparisons: n_comparisons + 1)
    assert asked == [(10, 5, 1.0), (10, 5, 2.0)]
    assert (found.power_1sd, found.power_2sd, found.fewest_seeds) == (0.25, 0.5, 6)


def test_an_arm_that_cant_take_a_step_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "newton.toml"
    path.write_text('[experiment]\nname = "x"\n[model]\nname = "linear"\ninput_size = 8\n[optimizers.newton]')
    with pytest.raises(ExperimentError, match=r"newton: its first step costs 3,861\.3 epochs .* = 10"):
        api.plan(path, calibrate=False)


def test_a_wrong_number_of_workers_is_refused(make_experiment: MakeExperiment) -> None:
    with pytest.raises(UsageError, match="workers 0"):
        api.plan(make_experiment(), workers=0, calibrate=False)
