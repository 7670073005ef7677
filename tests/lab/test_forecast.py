"""Seconds from counts and a calibration, each worked out by hand."""

import pytest
from conftest import MakeExperiment

from sweeper.lab import forecast
from sweeper.lab.calibration import ArmPace, Calibration
from sweeper.lab.forecast import REPORT_S, Span

CALIBRATION = Calibration(
    device="a test",
    n_workers=2,
    uses_ray=False,
    load_s=1.0,
    ready_s=4.0,
    setup_s=0.5,
    eval_image_s=0.001,
    arms={"sgd": ArmPace(((50, 0.01),))},
)

ONE_ARM = ("optimizers.sgd={}", "space.batch_size=50", "final.top_k=0")


def test_a_trial_is_its_samples_its_validations_and_its_setup(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ONE_ARM)
    # 2 epochs of 200 images at 10 ms, twice 100 validation images at 1 ms.
    expected = 4.0 + 0.2 + 0.5 + 2 * REPORT_S
    assert forecast.trial_s(experiment, experiment.arms[0], CALIBRATION) == pytest.approx(expected)


def test_images_are_evaluated_as_often_as_the_file_says(make_experiment: MakeExperiment) -> None:
    often = make_experiment(*ONE_ARM, "budget.epochs=10")
    seldom = make_experiment(*ONE_ARM, "budget.epochs=10", "budget.eval_every=5")
    train = make_experiment(*ONE_ARM, "budget.epochs=10", "experiment.objective=train_loss")
    seconds = [forecast.trial_s(e, e.arms[0], CALIBRATION) for e in (often, seldom, train)]
    assert seconds[0] - seconds[1] == pytest.approx(0.8)
    assert seconds[2] - seconds[0] == pytest.approx(1.0)


def test_batch_sizes_count_by_how_often_they_are_drawn(make_experiment: MakeExperiment) -> None:
    two = make_experiment("optimizers.sgd={}", "space.batch_size=[50, 100]")
    calibration = _with(arms={"sgd": ArmPace(((50, 0.01), (100, 0.006)))})
    only_first = make_experiment("optimizers.sgd={}", "space.batch_size=50")
    saved = [forecast.trial_s(e, e.arms[0], calibration) for e in (only_first, two)]
    assert saved[0] - saved[1] == pytest.approx(400 * 0.002)
    many = make_experiment("optimizers.sgd={}", "space.batch_size={low=50, high=100}")
    assert saved[1] < forecast.trial_s(many, many.arms[0], calibration) + 0.4 < saved[0] + 0.4


def test_steps_of_its_own_cost_what_the_registry_says(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("model.input_size=8", "optimizers.newton.steps=3", "optimizers.sgd={}")
    newton, sgd = experiment.arms
    per_step = 1 + 1 / 3 + 2 * 1930  # linear on 8x8 images has 1,930 parameters
    assert forecast.trial_epochs(experiment, newton) == pytest.approx(3 * per_step)
    assert forecast.trial_epochs(experiment, sgd) == 2
    calibration = _with(arms={"newton": ArmPace(((0, 1e-6),), step_s=2.0, step_epochs=per_step)})
    expected = 3 * per_step * 200 * 1e-6 + 3 * 2.0 + 3 * (100 * 0.001 + REPORT_S) + 0.5
    assert forecast.trial_s(experiment, newton, calibration) == pytest.approx(expected)


def test_a_rule_that_asks_for_the_loss_takes_as_many_steps_as_it_can_pay(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment("optimizers.lbfgs={}", "budget.epochs=30")
    calibration = _with(arms={"lbfgs": ArmPace(((0, 1e-3),), step_s=1.0, step_epochs=1.5)})
    # 6 s of samples; 20 steps, each recorded and validated.
    expected = 6.0 + 20 * (1.0 + 0.1 + REPORT_S) + 0.5
    assert forecast.trial_s(experiment, experiment.arms[0], calibration) == pytest.approx(expected)


def test_the_last_trials_may_not_fill_all_workers() -> None:
    assert forecast.makespan_s([1.0] * 4, 2) == 2
    assert forecast.makespan_s([1.0] * 5, 2) == 3
    assert forecast.makespan_s([3.0, 1.0, 1.0, 1.0], 2) == 3
    assert forecast.makespan_s([], 2) == 0


def test_the_whole_is_start_search_and_finals(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ONE_ARM[:2], "final.top_k=1", "final.seeds=3", "final.untuned=false")
    expected = forecast.phases(experiment, CALIBRATION, None)
    trial = forecast.trial_s(experiment, experiment.arms[0], CALIBRATION)
    assert expected.search == Span(2 * trial, 2 * trial)  # three trials on two workers
    assert expected.finals.low == pytest.approx(2 * (trial + 0.1))  # and 100 test images each
    start = forecast.PROGRAM_S + 1 + 4
    assert expected.total.low == expected.total.high == pytest.approx(4 * trial + 0.2 + start)


def test_ray_takes_its_time_and_its_share(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ONE_ARM)
    inline, ray = (
        forecast.phases(experiment, calibration, None) for calibration in (CALIBRATION, _with(uses_ray=True))
    )
    assert ray.start_s == inline.start_s + forecast.RAY_S
    assert ray.search.low == pytest.approx(forecast.RAY_LOAD * inline.search.low)


def test_workers_that_share_cores_are_slower(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ONE_ARM)
    trial, slowed = (
        forecast.trial_s(experiment, experiment.arms[0], calibration)
        for calibration in (CALIBRATION, _with(slowdown=3.0))
    )
    assert slowed == pytest.approx(3 * trial)


@pytest.mark.parametrize(
    ("settings", "n_finals"),
    [
        (("final.top_k=0",), 0),
        (("final.seeds=10",), 20),
        (("final.seeds=10", "final.untuned=false"), 10),
        (("final.seeds=10", "final.top_k=3", "final.untuned=false"), 20),  # two candidates
        (("final.seeds=10", "search.repeats=2"), 20),
        (("final.seeds=10", "search.repeats=2", "final.top_k=2"), 20),  # each search has one candidate
        (("final.seeds=10", "budget.trials_per_optimizer=1"), 10),  # the untuned one alone
    ],
)
def test_finals_are_counted_as_they_will_be_planned(
    make_experiment: MakeExperiment, settings: tuple[str, ...], n_finals: int
) -> None:
    assert make_experiment("final.top_k=1", *settings).n_finals_each == n_finals


@pytest.mark.parametrize("share", [Span(0.05, 0.95), Span(0.3, 0.4), Span(1.0, 1.0)])
def test_no_range_is_wider_than_a_factor_of_two_and_a_half(
    make_experiment: MakeExperiment, share: Span
) -> None:
    experiment = make_experiment(*ONE_ARM, "budget.trials_per_optimizer=40")
    total = forecast.phases(experiment, CALIBRATION, share).total
    assert 1 < total.high / total.low <= forecast.WIDEST * (1 + 1e-12)


def test_a_limit_of_seconds_caps_what_is_expected(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ONE_ARM, "budget.trials_per_optimizer=40")
    expected = forecast.phases(experiment, CALIBRATION, None)
    capped = forecast.capped(expected, 10.0)
    assert capped == Span(expected.start_s + 10, expected.start_s + 10 + expected.trial_s)


def _with(**changed: object) -> Calibration:
    known = {name: getattr(CALIBRATION, name) for name in Calibration.__dataclass_fields__}
    return Calibration(**{**known, **changed})
