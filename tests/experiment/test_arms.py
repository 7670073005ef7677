"""What an experiment file may say of its optimizers beyond the lecture's six."""

from dataclasses import replace
from typing import Any

import pytest

from sweeper import experiment as experiments
from sweeper import optimizers, space
from sweeper.errors import ExperimentError
from sweeper.experiment import ArmSpace, Experiment
from sweeper.space import Choice, Fixed, Range

MINIMAL = '[experiment]\nname = "t"\n[model]\nname = "linear"\ninput_size = 8\n'


def loads(*settings: str, text: str = "") -> Experiment:
    return experiments.loads(MINIMAL + text, settings)


def arm(text: str, *settings: str) -> ArmSpace:
    (only,) = loads(*settings, text=text).arms
    return only


def problems(text: str, *settings: str) -> list[str]:
    with pytest.raises(ExperimentError) as refused:
        loads(*settings, text=text)
    return list(refused.value.problems)


# --- which shared dimensions an arm uses ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("sgd", {"batch_size", "weight_decay", "schedule", "sampling"}),
        ("nadam", {"batch_size", "weight_decay", "schedule", "sampling"}),
        ("gd", {"weight_decay", "schedule"}),
        ("lbfgs", {"weight_decay"}),
        ("bfgs", {"weight_decay"}),
        ("newton", {"weight_decay"}),
        ("random_search", {"weight_decay"}),
        ("local_search", {"weight_decay"}),
    ],
)
def test_an_arm_leaves_out_the_shared_dimensions_that_mean_nothing_to_it(name: str, used: set[str]) -> None:
    steps = "steps = 1\n" if name == "newton" else ""
    assert set(arm(f"[optimizers.{name}]\n{steps}").shared) == used


def test_random_search_has_no_use_for_an_initialization() -> None:
    assert "init" not in arm("[optimizers.random_search]", "space.init=['xavier', 'normal']").shared
    assert "init" in arm("[optimizers.local_search]", "space.init=['xavier', 'normal']").shared


def test_below_16_trials_adamw_keeps_its_usual_weight_decay() -> None:
    adamw = arm("[optimizers.adamw]", "budget.trials_per_optimizer=15")
    assert adamw.own["weight_decay"] == Fixed(1e-2)


def test_adamw_searches_a_weight_decay_of_its_own() -> None:
    adamw = arm("[optimizers.adamw]")
    assert adamw.own["weight_decay"] == Range(1e-3, 1.0, "log")
    assert "weight_decay" not in adamw.shared


@pytest.mark.parametrize(("name", "key"), [("gd", "batch_size"), ("lbfgs", "schedule"), ("gd", "sampling")])
def test_a_dimension_that_means_nothing_to_an_arm_is_refused_in_its_own_table(name: str, key: str) -> None:
    value = 64 if key == "batch_size" else '"constant"'
    (problem,) = problems(f"[optimizers.{name}]\n{key} = {value}\n")
    assert problem.startswith(f"optimizers.{name}.{key}: unknown key")


@pytest.mark.parametrize(
    ("setting", "dimension"),
    [
        ('space.schedule=["constant", "cosine", "linear", "step"]', "schedule"),
        ('space.sampling=["shuffle", "replacement"]', "sampling"),
        ('space.init=["kaiming", "xavier", "normal"]', "init"),
        ("space.batch_size={low=16, high=128}", "batch_size"),
    ],
)
def test_the_lectures_other_hyperparameters_can_be_searched(setting: str, dimension: str) -> None:
    assert not isinstance(arm("[optimizers.sgd]", setting).shared[dimension], Fixed)


# --- steps as a budget of its own -------------------------------------------------------------------------


def test_newton_may_have_a_number_of_steps_as_its_budget() -> None:
    newton = arm("[optimizers.newton]\nsteps = 5\n")
    assert newton.steps == 5
    assert newton.own.keys() == {"lr", "damping"}


@pytest.mark.parametrize("steps", ["0", "true", "1.5", "[5]", '"five"', "10000000000"])
def test_a_wrong_number_of_steps_is_refused_with_what_is_legal(steps: str) -> None:
    (problem,) = problems(f"[optimizers.newton]\nsteps = {steps}\n")
    assert problem.startswith("optimizers.newton.steps = ")
    assert "a whole number from 1" in problem


def test_an_arm_whose_steps_the_budget_pays_has_none_of_its_own() -> None:
    (problem,) = problems("[optimizers.lbfgs]\nsteps = 5\n")
    assert problem.startswith("optimizers.lbfgs.steps: unknown key")


# --- classes of torch.optim -------------------------------------------------------------------------------

RADAM = '[optimizers.radam]\nclass = "torch.optim.RAdam"\nlr = { low = 1e-5, high = 0.1, scale = "log" }\n'


def test_any_class_of_torch_may_be_an_arm_with_a_space_of_its_own() -> None:
    radam = arm(f"{RADAM}beta1 = [0.8, 0.9]\ndecoupled_weight_decay = [true, false]\neps = 1e-7\n")
    assert radam.torch_class == "torch.optim.RAdam"
    assert radam.own == {
        "lr": Range(1e-5, 0.1, "log"),
        "beta1": Choice((0.8, 0.9)),
        "decoupled_weight_decay": Choice((True, False)),
        "eps": Fixed(1e-7),
    }
    assert set(radam.shared) == {"batch_size", "weight_decay", "schedule", "sampling"}


def test_a_class_has_torchs_own_defaults_as_its_untuned_setting() -> None:
    assert arm(f"{RADAM}beta1 = [0.8, 0.95]\n").arm.default == {
        "lr": 1e-3,
        "beta1": 0.9,
        "weight_decay": 0,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[optimizers.radam]\nclass = "torch.optim.RAdam"\n', "optimizers.radam.lr: missing"),
        ("[optimizers.radam]\nclass = 3\nlr = 0.1\n", "optimizers.radam.class = 3: must be a name"),
        ('[optimizers.adam]\nclass = "torch.optim.Adam"\nlr = 0.1\n', "adam is an arm already"),
        ('[optimizers."r adam"]\nclass = "torch.optim.RAdam"\nlr = 0.1\n', "must be called by a letter"),
        (f"{RADAM}effective_lr = 0.1\n", "optimizers.radam.effective_lr: unknown key"),
        (f"{RADAM}Rho = 0.1\n", "optimizers.radam.Rho: unknown key; legal: what the constructor of"),
        (f"{RADAM}steps = 3\n", "optimizers.radam.steps: unknown key"),
        ('[optimizers.radam]\nclass = ""\nlr = 0.1\n', 'optimizers.radam.class = "": must be a name such as'),
        (f'{RADAM}rho = "big"\n', 'optimizers.radam.rho = "big": must be a number'),
        (f"{RADAM}rho = {{ low = false, high = true }}\n", "low and high must each be a number"),
        ("[optimizers.radma]\n", 'or any other name with class = "torch.optim.X"'),
    ],
)
def test_what_is_wrong_with_a_class_is_said(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem


# --- the document that the store keeps --------------------------------------------------------------------


def test_the_stored_document_has_classes_and_steps_and_reads_back_to_the_same() -> None:
    text = f"{RADAM}amsgrad = true\n[optimizers.newton]\nsteps = 3\n[optimizers.lbfgs]\n"
    experiment = loads(text=text)
    document: dict[str, Any] = experiment.document()
    assert document["optimizers"]["radam"]["class"] == "torch.optim.RAdam"
    assert document["optimizers"]["newton"]["steps"] == 3
    assert replace(experiments.from_document(document, is_resolved=True), text="") == replace(
        experiment, text=""
    )


@pytest.mark.parametrize("name", optimizers.names())
def test_every_arm_has_legal_default_dimensions_in_an_experiment(name: str) -> None:
    steps = "steps = 1\n" if optimizers.ARMS[name].may_have_steps else ""
    found = arm(f"[optimizers.{name}]\n{steps}", "budget.trials_per_optimizer=40")
    assert all(
        space.contains(dimension, value)
        for dimension in found.space.values()
        for value in space.extremes(dimension)
    )
