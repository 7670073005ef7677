"""Mistakes that lie in several keys together."""

import pytest

from sweeper import experiment as experiments
from sweeper.errors import ExperimentError


def loads(*settings: str) -> experiments.Experiment:
    return experiments.loads('[experiment]\nname = "t"\n', settings)


def the_problem(*settings: str) -> str:
    with pytest.raises(ExperimentError) as refused:
        loads(*settings)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize(
    ("model", "size", "legal"),
    [
        ("lenet", 8, "16, 32"),
        ("3c3d", 8, "16, 32"),
        ("cnn", 16, "32"),
    ],
)
def test_a_model_that_halves_images_to_nothing_is_refused_with_the_legal_sizes(
    model: str, size: int, legal: str
) -> None:
    settings = [f"model.name={model}", f"model.input_size={size}", "model.channels=[4, 4, 4, 4, 4]"]
    problem = the_problem(*settings)
    assert problem.startswith(f"model.input_size = {size}: too small for {model}")
    assert problem.endswith(f"legal: {legal}")


@pytest.mark.parametrize("model", ["linear", "mlp", "lenet", "cnn", "3c3d", "resnet8"])
@pytest.mark.parametrize("size", [16, 32])
def test_every_model_takes_images_from_16_pixels_on(model: str, size: int) -> None:
    assert loads(f"model.name={model}", f"model.input_size={size}").model.input_size == size


@pytest.mark.parametrize("arm", ["newton", "bfgs"])
def test_a_model_too_large_for_a_square_matrix_is_refused_with_both_numbers(arm: str) -> None:
    problem = the_problem("model.name=linear", f"optimizers.{arm}.steps=1")
    assert problem.startswith(f"optimizers.{arm}: ")
    assert "30,730" in problem
    assert "2,500" in problem


def test_newton_is_refused_with_what_a_step_costs_and_what_there_is() -> None:
    problem = the_problem("model.name=linear", "model.input_size=8", "optimizers.newton={}")
    assert "3,861.3 epochs" in problem  # 2 x 1,930 + 1 + 1/3
    assert "budget.epochs = 10" in problem
    assert "optimizers.newton.steps = N" in problem


def test_newton_with_steps_of_its_own_is_not_asked_what_they_cost() -> None:
    assert loads("model.name=linear", "model.input_size=8", "optimizers.newton.steps=5")


def test_newton_runs_where_the_budget_pays_a_step() -> None:
    assert loads("model.name=linear", "model.input_size=8", "optimizers.newton={}", "budget.epochs=3862")


@pytest.mark.parametrize(("arm", "cost"), [("lbfgs", "2.0"), ("bfgs", "2.3")])
def test_a_rule_that_can_not_take_its_first_step_is_refused(arm: str, cost: str) -> None:
    problem = the_problem(
        "model.name=linear", "model.input_size=8", f"optimizers.{arm}={{}}", "budget.epochs=1"
    )
    assert f"its first step costs {cost} epochs and budget.epochs = 1" in problem


@pytest.mark.parametrize("arm", ["gd", "sgd", "random_search", "local_search"])
def test_every_other_rule_runs_for_a_single_epoch(arm: str) -> None:
    assert loads(f"optimizers.{arm}={{}}", "budget.epochs=1")


def test_who_augments_is_told_which_rules_see_the_images_as_they_are() -> None:
    notices = loads("data.augment=true", "optimizers.sgd={}", "optimizers.lbfgs={}", "final.top_k=0").notices
    assert notices == ("[data] augment: lbfgs see the images as they are",)


@pytest.mark.parametrize(
    "directory", ["saved", "~/saved", "/a/b::c", "file:///a", "s3://bucket/a", "memory://a"]
)
def test_checkpoints_go_to_a_local_path_or_an_fsspec_url(directory: str) -> None:
    checkpoint = loads("checkpoint.every_epochs=5", f'checkpoint.directory="{directory}"').checkpoint
    assert (checkpoint.every_epochs, checkpoint.directory) == (5, directory)


def test_checkpoints_without_a_directory_are_refused() -> None:
    problem = the_problem("checkpoint.every_epochs=5")
    assert problem.startswith('checkpoint.every_epochs = 5 and checkpoint.directory = "": ')
    assert problem.endswith("a local path or an fsspec URL")


@pytest.mark.parametrize(
    ("directory", "told"),
    [
        (r"a\u0000b", 'checkpoint.directory = "a\\u0000b": must be a local path or an fsspec URL'),
        (
            "s4://me:secret@bucket",
            "checkpoint.directory = \"s4://***@bucket\": unknown protocol 's4'; legal: ",
        ),
    ],
)
def test_a_directory_that_can_be_nowhere_is_refused_without_its_password(directory: str, told: str) -> None:
    assert the_problem(f'checkpoint.directory="{directory}"').startswith(told)
