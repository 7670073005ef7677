import importlib
import math
import random
from typing import Any

import pytest
import torch

from sweeper import optimizers, space

# The lecture's table: first moments, second moments, leaky second moments, bias correction.
LECTURE = {
    "sgd": (False, False, False, False),
    "momentum": (True, False, False, False),
    "nesterov": (True, False, False, False),
    "adagrad": (False, True, False, False),
    "rmsprop": (False, True, True, False),
    "adam": (True, True, True, True),
}
BEYOND = {
    "adamw": (True, True, True, True),
    "nadam": (True, True, True, True),
    "gd": (False, False, False, False),
    "lbfgs": (False, False, False, False),
    "bfgs": (False, False, False, False),
    "newton": (False, False, False, False),
    "random_search": (False, False, False, False),
    "local_search": (False, False, False, False),
}
UNTUNED: dict[str, dict[str, float]] = {
    "sgd": {"lr": 1e-3},
    "momentum": {"lr": 1e-3, "momentum": 0.9},
    "nesterov": {"lr": 1e-3, "momentum": 0.9},
    "adagrad": {"lr": 1e-2},
    "rmsprop": {"lr": 1e-2, "decay": 0.99},
    "adam": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999},
    "adamw": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 1e-2},
    "nadam": {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999},
    "gd": {"lr": 1e-3},
    "lbfgs": {"lr": 1.0, "history": 10},
    "bfgs": {"lr": 1.0, "damping": 1e-2},
    "newton": {"lr": 1.0, "damping": 1e-2},
    "random_search": {},
    "local_search": {"step": 1e-3},
}
ALL = (*LECTURE, *BEYOND)
BY_LR = ("gd", *LECTURE, "adamw", "nadam")
MOMENTS = ("first_moments", "second_moments", "leaky_second_moments", "bias_correction")


def parsed_space(arm: str, n_trials: int) -> dict[str, space.Dimension]:
    return {
        name: space.parse(name, raw) for name, raw in optimizers.ARMS[arm].default_space(n_trials).items()
    }


def test_the_arms_stand_in_the_lectures_order_and_then_those_beyond_it() -> None:
    assert optimizers.names() == list(ALL)
    assert [row["name"] for row in optimizers.properties()] == list(ALL)
    assert list(LECTURE) == list(optimizers.LECTURE)


def test_the_properties_are_those_of_the_lectures_table() -> None:
    table = {row["name"]: tuple(row[key] for key in MOMENTS) for row in optimizers.properties()}
    assert table == {**LECTURE, **BEYOND}


def test_the_untuned_settings_are_the_lectures() -> None:
    assert {row["name"]: row["default"] for row in optimizers.properties()} == UNTUNED


def test_a_row_of_properties_has_the_keys_that_others_build_on() -> None:
    for row in optimizers.properties():
        assert set(row) >= {"name", *MOMENTS, "torch_class", "space", "default"}
        assert all(isinstance(row[key], bool) for key in MOMENTS)


@pytest.mark.parametrize("name", ALL)
def test_the_class_that_an_arm_names_is_a_torch_optimizer(name: str) -> None:
    module, _, member = optimizers.ARMS[name].torch_class.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), member), torch.optim.Optimizer)


@pytest.mark.parametrize("name", ALL)
def test_every_arm_says_in_one_line_what_it_does(name: str) -> None:
    summary = optimizers.ARMS[name].summary
    assert 20 < len(summary) < 100
    assert "\n" not in summary


def test_changing_a_row_of_properties_changes_no_arm() -> None:
    optimizers.properties()[0]["default"]["lr"] = 7
    assert optimizers.properties()[0]["default"] == UNTUNED["sgd"]


@pytest.mark.parametrize("name", BY_LR)
def test_every_arm_that_searches_a_learning_rate_searches_four_decades_of_learning_rate(name: str) -> None:
    dimensions = parsed_space(name, 100)
    lr = dimensions.get("lr") or dimensions["effective_lr"]
    assert isinstance(lr, space.Range)
    assert lr.scale == "log"
    assert math.log10(lr.high / lr.low) == pytest.approx(4)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_trials", [1, 15, 16, 31, 32, 1_000])
def test_every_default_space_is_legal(name: str, n_trials: int) -> None:
    assert parsed_space(name, n_trials).keys() == optimizers.ARMS[name].space.keys()


@pytest.mark.parametrize("name", LECTURE)
def test_below_16_trials_an_arm_searches_nothing_but_its_learning_rate(name: str) -> None:
    searched = [
        dimension for dimension, value in parsed_space(name, 15).items() if not isinstance(value, space.Fixed)
    ]
    assert searched in (["lr"], ["effective_lr"])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_trials", [15, 16, 32])
def test_the_untuned_setting_lies_in_the_default_space(name: str, n_trials: int) -> None:
    dimensions = parsed_space(name, n_trials)
    values = optimizers.search_values(optimizers.ARMS[name], UNTUNED[name], dimensions)
    assert space.encode(dimensions, values) is not None


@pytest.mark.parametrize(
    ("name", "zeroed"),
    [
        ("momentum", "momentum"),
        ("nesterov", "momentum"),
        ("adam", "beta1"),
        ("adamw", "beta1"),
        ("nadam", "beta1"),
    ],
)
def test_the_decay_rate_that_every_eighth_trial_sets_to_0_may_be_0(name: str, zeroed: str) -> None:
    arm = optimizers.ARMS[name]
    assert (arm.zeroed, optimizers.ZEROED_EVERY) == (zeroed, 8)
    assert space.contains(parsed_space(name, 16)[zeroed], 0.0)


@pytest.mark.parametrize("name", ["gd", "sgd", "adagrad", "rmsprop", "lbfgs", "random_search"])
def test_an_arm_without_a_velocity_sets_no_decay_rate_to_0(name: str) -> None:
    assert optimizers.ARMS[name].zeroed is None


@pytest.mark.parametrize(
    ("effective_lr", "momentum", "lr"), [(0.1, 0.9, 0.01), (0.5, 0.99, 0.005), (0.3, 0.0, 0.3)]
)
def test_the_rules_lr_is_the_effective_lr_times_one_minus_rho(
    effective_lr: float, momentum: float, lr: float
) -> None:
    params = optimizers.rule_params({"effective_lr": effective_lr, "momentum": momentum, "batch_size": 64})
    assert params == {"lr": pytest.approx(lr), "momentum": momentum, "batch_size": 64}


@pytest.mark.parametrize(
    "values", [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999}]
)
def test_a_setting_without_an_effective_lr_reaches_the_rule_as_it_is(values: dict[str, Any]) -> None:
    assert optimizers.rule_params(values) == values


def test_rule_params_leave_the_setting_that_they_came_from_alone() -> None:
    values = {"effective_lr": 0.1, "momentum": 0.9}
    optimizers.rule_params(values)
    assert values == {"effective_lr": 0.1, "momentum": 0.9}


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_a_setting_of_a_velocity_arm_goes_to_the_rule_and_back(name: str) -> None:
    arm, draw = optimizers.ARMS[name], random.Random(0)
    for _ in range(1_000):
        values = {"effective_lr": 10 ** draw.uniform(-4, 0), "momentum": 1 - 10 ** draw.uniform(-2, 0)}
        back = optimizers.search_values(arm, optimizers.rule_params(values), arm.default_space(16))
        assert back == pytest.approx(values)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"momentum", "nesterov"}))
def test_a_setting_of_any_other_arm_is_the_same_in_both_coordinates(name: str) -> None:
    arm = optimizers.ARMS[name]
    assert optimizers.search_values(arm, UNTUNED[name], arm.default_space(16)) == UNTUNED[name]


def test_a_velocity_arm_that_searches_lr_itself_keeps_it() -> None:
    arm = optimizers.ARMS["momentum"]
    params = {"lr": 0.01, "momentum": 0.9}
    assert optimizers.search_values(arm, params, {"lr": 0.01, "momentum": 0.9}) == params


def test_an_unknown_name_is_no_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        _ = optimizers.biuld


# --- what a step costs: design decision 8 -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "later"),
    [
        *((name, 1, 1) for name in BY_LR),
        ("lbfgs", 2, 1),  # the gradient where it starts, then one for each try of the line search
        ("bfgs", 2 + 1 / 3, 1 + 1 / 3),  # ... and a forward pass for each try
        ("newton", 3_861 + 1 / 3, 3_861 + 1 / 3),  # 2 x 1,930 for the Hessian, a gradient, a try
        ("random_search", 1 / 3, 1 / 3),
        ("local_search", 2 / 3, 1 / 3),  # the weights it starts from have to be scored once
    ],
)
def test_the_least_that_a_step_costs_for_each_image_it_sees(name: str, first: float, later: float) -> None:
    arm = optimizers.ARMS[name]
    assert float(arm.first_step.per_image(1_930)) == pytest.approx(first)
    assert float(arm.later_step.per_image(1_930)) == pytest.approx(later)


def test_only_rules_with_a_square_matrix_have_a_largest_model_and_may_have_steps_of_their_own() -> None:
    limited = {name: arm.max_parameters for name, arm in optimizers.ARMS.items() if arm.max_parameters}
    assert limited == {"bfgs": 2_500, "newton": 2_500}
    assert {name for name, arm in optimizers.ARMS.items() if arm.may_have_steps} == {"bfgs", "newton"}
