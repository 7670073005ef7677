"""What `build` makes of a name and hyperparameters. That its rules are the lecture's is in `test_rules`."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sweeper import optimizers
from sweeper.errors import UsageError

W = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
DW = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
BY_LOSS = ("lbfgs", "bfgs", "newton", "random_search", "local_search")
BY_GRADIENT = tuple(name for name in optimizers.names() if name not in BY_LOSS)


def parameter(values: npt.ArrayLike) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(np.array(values), dtype=torch.float64))


# --- weight decay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_weight_decay_shrinks_weights_and_leaves_biases_alone(name: str) -> None:
    layer = torch.nn.Linear(3, 2)
    for p in layer.parameters():
        torch.nn.init.ones_(p)
        p.grad = torch.zeros_like(p)
    optimizers.build(name, layer.parameters(), lr=0.01, weight_decay=0.5).step()
    assert torch.all(layer.weight.detach() < 1)
    assert torch.all(layer.bias.detach() == 1)


@pytest.mark.parametrize("name", [name for name in BY_GRADIENT if name != "adamw"])
def test_weight_decay_adds_itself_times_w_to_the_gradient(name: str) -> None:
    moved = []
    for weight_decay, pull in ((0.5, 0.0), (0.0, 0.5)):
        w = parameter(W)
        optimizer = optimizers.build(name, [w], lr=0.01, weight_decay=weight_decay)
        for _ in range(5):
            w.grad = torch.tensor(DW) + pull * w.detach()
            optimizer.step()
        moved.append(w.detach().numpy())
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-12)


def test_adamw_decays_weights_by_lr_times_weight_decay_whatever_the_gradient() -> None:
    w = parameter(W)
    optimizer = optimizers.build("adamw", [w], lr=0.01, weight_decay=0.5)
    for _ in range(5):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), (1 - 0.01 * 0.5) ** 5 * W, rtol=1e-12)


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_rule_that_looks_at_the_loss_takes_no_weight_decay(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} looks at the loss"):
        optimizers.build(name, [parameter(W)], weight_decay=0.5)
    optimizers.build(name, [parameter(W)], weight_decay=0.0)


def test_convolutions_decay_and_the_scales_of_a_normalization_do_not() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = optimizers.build("sgd", network.parameters(), weight_decay=0.1)
    decays = {p: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {p: p.ndim > 1 for p in network.parameters()} == {p: decay == 0.1 for p, decay in decays.items()}


def test_every_parameter_is_trained_exactly_once() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2))
    optimizer = optimizers.build("adam", network.parameters())
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


# --- what is built ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", optimizers.properties(), ids=lambda row: row["name"])
def test_an_arm_is_built_as_the_class_that_its_properties_name(row: dict[str, Any]) -> None:
    built = optimizers.build(row["name"], [parameter(W)])
    assert type(built).__name__ == row["torch_class"].rpartition(".")[2]


@pytest.mark.parametrize(
    ("name", "torch_class", "differs"),
    [
        ("sgd", torch.optim.SGD, {}),
        ("momentum", torch.optim.SGD, {"momentum": 0.9}),
        ("nesterov", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ("adagrad", torch.optim.Adagrad, {}),
        ("rmsprop", torch.optim.RMSprop, {}),
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("nadam", torch.optim.NAdam, {}),
        ("gd", torch.optim.SGD, {}),
    ],
)
def test_what_is_not_given_is_torchs_default(
    name: str, torch_class: type[torch.optim.Optimizer], differs: dict[str, Any]
) -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    (group,) = optimizers.build(name, [weight]).param_groups
    (default,) = torch_class([weight]).param_groups  # type: ignore[call-arg]
    how = {"fused", "foreach"}  # the step is computed: no setting of the rule
    assert {key: v for key, v in group.items() if key not in how} == {
        key: v for key, v in {**default, **differs}.items() if key not in how
    }


@pytest.mark.parametrize("row", optimizers.properties(), ids=lambda row: row["name"])
def test_an_untuned_setting_builds_what_no_setting_builds(row: dict[str, Any]) -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    untuned = optimizers.build(row["name"], [weight], **row["default"])
    assert untuned.param_groups == optimizers.build(row["name"], [weight]).param_groups


def test_parameters_may_come_from_a_generator() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = optimizers.build("sgd", (p for p in layer.parameters()))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_an_unknown_optimizer_is_refused_with_the_legal_names() -> None:
    with pytest.raises(UsageError) as refused:
        optimizers.build("adma", [parameter(W)])
    assert str(refused.value) == (
        "optimizer 'adma' is unknown; legal: sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, nadam, "
        "gd, lbfgs, bfgs, newton, random_search, local_search"
    )


# --- how the step is computed -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_a_fused_step_is_torchs_plain_one_but_for_rounding(name: str) -> None:
    moved = []
    for fused in (True, False):
        weight = parameter(W)
        optimizer = optimizers.build(name, [weight])
        if not fused:
            for group in optimizer.param_groups:
                group["fused"] = None
        for _ in range(3):
            weight.grad = torch.tensor(DW)
            optimizer.step()
        moved.append(weight.detach())
    torch.testing.assert_close(*moved, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adagrad", "adam", "adamw"])
def test_rules_that_gain_by_it_are_fused_on_a_cpu_and_left_to_torch_elsewhere(name: str) -> None:
    def fused(device: str) -> list[object]:
        weight = torch.nn.Parameter(torch.zeros(2, 2, device=device))
        return [group["fused"] for group in optimizers.build(name, [weight]).param_groups]

    assert fused("cpu") == [True]
    assert fused("meta") == [None]


def test_without_weight_decay_there_is_one_group() -> None:
    layer = torch.nn.Linear(3, 2)
    assert len(optimizers.build("sgd", layer.parameters()).param_groups) == 1
    assert len(optimizers.build("sgd", layer.parameters(), weight_decay=0.1).param_groups) == 2
