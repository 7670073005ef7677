"""Any class of torch.optim by its name."""

import inspect
from typing import Any

import pytest
import torch

from sweeper.errors import UsageError
from sweeper.optimizers import custom
from sweeper.optimizers.arm import Sees

CLASSES = sorted(
    name
    for name, member in vars(torch.optim).items()
    if inspect.isclass(member) and issubclass(member, torch.optim.Optimizer) and name != "Optimizer"
)
# They want sparse gradients, matrices only, and the whole training set.
REFUSED = {"SparseAdam", "Muon", "LBFGS"}


def two_layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


# --- every class -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_accepted_or_refused_with_one_clear_line(name: str) -> None:
    problems = custom.problems(f"torch.optim.{name}", {})
    assert len(problems) == (name in REFUSED)
    for problem in problems:
        assert problem.startswith(f'class = "torch.optim.{name}": ')
        assert "\n" not in problem
        assert len(problem) < 160


@pytest.mark.parametrize("name", sorted(set(CLASSES) - REFUSED))
def test_a_class_that_is_accepted_trains(name: str) -> None:
    network = two_layers()
    rule = custom.build(f"torch.optim.{name}", network.parameters(), lr=0.01)
    assert type(rule) is getattr(torch.optim, name)
    images, labels = torch.randn(32, 4), torch.arange(32) % 3
    losses = []
    for _ in range(10):
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        rule.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_lbfgs_is_refused_in_favour_of_the_arm() -> None:
    (problem,) = custom.problems("torch.optim.LBFGS", {})
    assert problem.endswith("needs the whole training set for each step; the arm lbfgs is made for it")


@pytest.mark.parametrize(
    "torch_class",
    [
        "torch.optim.Admm",
        "RAdam",
        "torch.nn.Linear",
        "torch.optim.Optimizer",
        "torch.optim.lr_scheduler.StepLR",
    ],
)
def test_what_is_no_rule_of_torchs_is_refused_with_those_that_are(torch_class: str) -> None:
    (problem,) = custom.problems(torch_class, {})
    assert problem.startswith(f'class = "{torch_class}": no such optimizer in torch ')
    legal = problem.partition("X one of ")[2].split(", ")
    assert set(legal) == set(CLASSES) - REFUSED


@pytest.mark.parametrize("torch_class", ["torch.optim.Admm", "torch.optim.LBFGS"])
def test_a_class_that_is_refused_is_neither_an_arm_nor_built(torch_class: str) -> None:
    with pytest.raises(UsageError):
        custom.arm("mine", torch_class)
    with pytest.raises(UsageError):
        custom.build(torch_class, two_layers().parameters())


# --- the arm ---------------------------------------------------------------------------------------------


def test_an_arms_untuned_setting_is_torchs_defaults_of_what_the_file_names() -> None:
    arm = custom.arm("mine", "torch.optim.AdamW", ["lr", "beta2"])
    assert dict(arm.default) == {"lr": 1e-3, "beta2": 0.999, "weight_decay": 1e-2}
    assert arm.name == arm.title == "mine"
    assert arm.torch_class == "torch.optim.AdamW"


def test_an_arm_of_a_class_without_weight_decay_has_none() -> None:
    assert dict(custom.arm("mine", "torch.optim.Rprop").default) == {"lr": 1e-2}


def test_an_arm_of_a_class_sees_minibatches_and_has_no_space_of_its_own() -> None:
    arm = custom.arm("mine", "torch.optim.RAdam")
    assert arm.sees is Sees.MINIBATCHES
    assert arm.default_space(16) == {}


# --- keys and values -------------------------------------------------------------------------------------


def test_good_values_are_no_problem() -> None:
    settings = {"lr": [1e-4, 1e-1], "beta1": [0.0, 0.99], "beta2": [0.9], "amsgrad": [True, False]}
    assert custom.problems("torch.optim.Adam", settings) == []


def test_an_unknown_key_is_told_with_the_legal_ones() -> None:
    (problem,) = custom.problems("torch.optim.Adagrad", {"lr": [0.1], "momentum": [0.9]})
    assert problem == (
        "momentum: unknown key for torch.optim.Adagrad; "
        "legal: lr, lr_decay, weight_decay, initial_accumulator_value, eps"
    )


@pytest.mark.parametrize("key", ["betas", "foreach", "maximize", "capturable", "fused"])
def test_betas_and_how_a_rule_is_computed_are_no_keys(key: str) -> None:
    (problem,) = custom.problems("torch.optim.Adam", {key: [True]})
    assert problem.startswith(f"{key}: unknown key")
    assert "beta1, beta2" in problem


def test_every_bad_value_is_told_in_a_line_of_its_own() -> None:
    settings = {"lr": [1e-3], "beta1": [0.9, 1.5], "eps": [-1.0]}
    problems = custom.problems("torch.optim.Adam", settings)
    assert [problem.partition(":")[0] for problem in problems] == ["beta1 = 1.5", "eps = -1.0"]
    assert all("\n" not in problem for problem in problems)


def test_a_value_that_is_right_only_beside_another_one_is_right() -> None:
    settings = {"lr": [1e-4, 1e-1], "nesterov": [True], "momentum": [0.5, 0.9]}
    assert custom.problems("torch.optim.SGD", settings) == []


def test_values_that_are_wrong_only_together_are_told() -> None:
    settings = {"lr": [1e-4, 1e-1], "nesterov": [False, True], "momentum": [0.0, 0.9]}
    (problem,) = custom.problems("torch.optim.SGD", settings)
    assert problem.startswith("nesterov = True: Nesterov momentum requires a momentum")


@pytest.mark.parametrize("values", [[0, 1], [0.3], [True, 0.0]])
def test_what_is_true_or_false_is_no_number(values: list[float]) -> None:
    (problem,) = custom.problems("torch.optim.Adam", {"amsgrad": values})
    assert problem == "amsgrad: must be true or false, or a list of both"


def test_a_check_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    custom.problems("torch.optim.Adam", {"lr": [0.1]})
    assert torch.rand(1) == expected


def test_a_value_that_is_right_beside_none_of_the_others_is_told() -> None:
    (problem,) = custom.problems("torch.optim.SGD", {"lr": [1e-3], "nesterov": [True], "momentum": [0.0]})
    assert problem.startswith("nesterov = True: Nesterov momentum requires a momentum")


# --- what is built ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "betas"),
    [({}, (0.9, 0.999)), ({"beta1": 0.5}, (0.5, 0.999)), ({"beta2": 0.7}, (0.9, 0.7))],
)
def test_betas_are_given_one_by_one_and_torchs_where_they_are_not(
    given: dict[str, Any], betas: tuple[float, float]
) -> None:
    rule = custom.build("torch.optim.RAdam", two_layers().parameters(), **given)
    assert all(group["betas"] == betas for group in rule.param_groups)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adafactor", "Adamax", "Adadelta"])
def test_a_class_decays_weights_and_leaves_biases_alone(name: str) -> None:
    layer = torch.nn.Linear(3, 2)
    for p in layer.parameters():
        torch.nn.init.ones_(p)
        p.grad = torch.zeros_like(p)
    custom.build(f"torch.optim.{name}", layer.parameters(), lr=0.01, weight_decay=0.5).step()
    assert torch.all(layer.weight.detach() < 1)
    assert torch.all(layer.bias.detach() == 1)


def test_weight_decay_is_0_unless_it_is_given() -> None:
    rule = custom.build("torch.optim.AdamW", two_layers().parameters())
    assert {group["weight_decay"] for group in rule.param_groups} == {0.0}


def test_a_class_that_takes_no_weight_decay_takes_0_and_refuses_more() -> None:
    custom.build("torch.optim.Rprop", two_layers().parameters(), weight_decay=0.0)
    with pytest.raises(UsageError, match=r"torch.optim.Rprop takes no weight_decay"):
        custom.build("torch.optim.Rprop", two_layers().parameters(), weight_decay=0.1)


def test_a_class_is_what_torch_makes_of_it() -> None:
    mine, torchs = two_layers(), two_layers()
    rules = [
        custom.build("torch.optim.NAdam", mine.parameters(), lr=0.01, beta1=0.8, momentum_decay=0.01),
        torch.optim.NAdam(torchs.parameters(), lr=0.01, betas=(0.8, 0.999), momentum_decay=0.01),
    ]
    for network, rule in zip((mine, torchs), rules, strict=True):
        for _ in range(3):
            rule.zero_grad()
            network(torch.ones(2, 4)).square().sum().backward()
            rule.step()
    for p, q in zip(mine.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(p, q)
