"""The update rules, held against the lecture's own formulas and the vectors published with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sweeper import optimizers
from sweeper.errors import UsageError

Vector = npt.NDArray[np.float64]

# N, D = 4, 5 in the lecture; only the first row of the result is published.
W = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
DW = np.linspace(-0.6, 0.4, 20).reshape(4, 5)


def parameter(values: npt.ArrayLike) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(np.array(values), dtype=torch.float64))


def next_w(name: str, state: dict[str, Any], **hyperparameters: float) -> Vector:
    """The lecture's w after one step from the optimizer's `state`, in double precision."""
    w = parameter(W)
    optimizer = optimizers.build(name, [w], **hyperparameters)
    optimizer.state[w] = {key: torch.as_tensor(value) for key, value in state.items()}
    w.grad = torch.tensor(DW)
    optimizer.step()
    return w.detach().numpy()


def spread(low: float, high: float) -> Vector:
    return np.linspace(low, high, 20).reshape(4, 5)


def test_momentum_gives_the_published_vector() -> None:
    # Published as v = rho v - lr dw; w += v. torch keeps buf = -v / lr instead: the same w at constant lr.
    found = next_w("momentum", {"momentum_buffer": -spread(0.6, 0.9) / 1e-3}, lr=1e-3, momentum=0.9)
    expected = [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789]
    np.testing.assert_allclose(found[0], expected, atol=5e-9)


def test_rmsprop_gives_the_published_vector() -> None:
    state = {"step": 1.0, "square_avg": spread(0.6, 0.9)}
    found = next_w("rmsprop", state, lr=1e-2, decay=0.99, eps=1e-8)
    expected = [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247]
    np.testing.assert_allclose(found[0], expected, atol=5e-9)


def test_adam_gives_the_published_vector() -> None:
    state = {
        "step": 5.0,
        "exp_avg": spread(0.6, 0.9),
        "exp_avg_sq": spread(0.7, 0.5),
    }  # the next step is t = 6
    found = next_w("adam", state, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-8)
    expected = [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977]
    np.testing.assert_allclose(found[0], expected, atol=5e-9)


# --- the lecture's formulas, as plain code ---------------------------------------------------------------

Gradient = Callable[[Vector], Vector]
Schedule = Callable[[int], float]


def sgd(w: Vector, dw: Gradient, lr: Schedule, n: int) -> Vector:
    for t in range(1, n + 1):
        w = w - lr(t) * dw(w)
    return w


def momentum(w: Vector, dw: Gradient, lr: Schedule, n: int) -> Vector:
    v = np.zeros_like(w)
    for t in range(1, n + 1):
        v = 0.9 * v + dw(w)
        w = w - lr(t) * v
    return w


def adagrad(w: Vector, dw: Gradient, lr: Schedule, n: int) -> Vector:
    s = np.zeros_like(w)
    for t in range(1, n + 1):
        g = dw(w)
        s = s + g * g
        w = w - lr(t) * g / (np.sqrt(s) + 1e-7)
    return w


def rmsprop(w: Vector, dw: Gradient, lr: Schedule, n: int) -> Vector:
    s = np.zeros_like(w)
    for t in range(1, n + 1):
        g = dw(w)
        s = 0.9 * s + (1 - 0.9) * g * g
        w = w - lr(t) * g / (np.sqrt(s) + 1e-7)
    return w


def adam(w: Vector, dw: Gradient, lr: Schedule, n: int) -> Vector:
    m, s = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, n + 1):
        g = dw(w)
        m = 0.9 * m + (1 - 0.9) * g
        s = 0.99 * s + (1 - 0.99) * g * g
        m_hat, s_hat = m / (1 - 0.9**t), s / (1 - 0.99**t)
        w = w - lr(t) * m_hat / (np.sqrt(s_hat) + 1e-7)
    return w


RULES: dict[str, tuple[Callable[[Vector, Gradient, Schedule, int], Vector], dict[str, float]]] = {
    "sgd": (sgd, {}),
    "momentum": (momentum, {"momentum": 0.9}),
    "adagrad": (adagrad, {"eps": 1e-7}),
    "rmsprop": (rmsprop, {"decay": 0.9, "eps": 1e-7}),
    "adam": (adam, {"beta1": 0.9, "beta2": 0.99, "eps": 1e-7}),
}
CURVATURE = np.array([0.1, 1.0, 10.0])
START = np.array([1.0, -2.0, 0.5])


def trained(name: str, lr: Schedule, n: int, gradient_scale: float = 1.0, **hyperparameters: float) -> Vector:
    """Where `name` goes in `n` steps on a quadratic, as `sweeper.optimizers` builds it."""
    w = parameter(START)
    optimizer = optimizers.build(name, [w], lr=lr(1), **hyperparameters)
    for t in range(1, n + 1):
        optimizer.param_groups[0]["lr"] = lr(t)
        w.grad = gradient_scale * torch.tensor(CURVATURE) * w.detach()
        optimizer.step()
    return w.detach().numpy()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_the_lectures_formula(name: str) -> None:
    formula, hyperparameters = RULES[name]
    found = trained(name, lambda t: 0.01, 20, **hyperparameters)
    np.testing.assert_allclose(found, formula(START, lambda w: CURVATURE * w, lambda t: 0.01, 20), rtol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_the_lectures_formula_when_lr_changes_on_the_way(name: str) -> None:
    formula, hyperparameters = RULES[name]

    def lr(t: int) -> float:
        return 0.01 if t <= 10 else 0.001

    found = trained(name, lr, 20, **hyperparameters)
    np.testing.assert_allclose(found, formula(START, lambda w: CURVATURE * w, lr, 20), rtol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_eps_stands_outside_the_root_as_gradients_near_1e_8_tell(name: str) -> None:
    formula, hyperparameters = RULES[name]
    found = trained(name, lambda t: 0.01, 20, gradient_scale=1e-8, **hyperparameters)
    expected = formula(START, lambda w: 1e-8 * CURVATURE * w, lambda t: 0.01, 20)
    np.testing.assert_allclose(found - START, expected - START, rtol=1e-6)


def test_nesterov_is_the_lectures_formula_after_a_change_of_variables() -> None:
    # The lecture: v' = rho v - lr grad(w + rho v); w += v'. torch's weights are the lecture's w + rho v.
    w, v = START, np.zeros_like(START)
    for _ in range(20):
        v = 0.9 * v - 0.01 * CURVATURE * (w + 0.9 * v)
        w = w + v
    found = trained("nesterov", lambda t: 0.01, 20, momentum=0.9)
    np.testing.assert_allclose(found, w + 0.9 * v, rtol=1e-10)


# --- inclusions ------------------------------------------------------------------------------------------


def steps(name: str, n: int, **hyperparameters: float) -> torch.Tensor:
    """A weight matrix after `n` noisy steps, in single precision as in training."""
    generator = torch.Generator().manual_seed(0)
    w = torch.nn.Parameter(torch.randn(8, 8, generator=generator))
    optimizer = optimizers.build(name, [w], lr=0.05, **hyperparameters)
    for _ in range(n):
        w.grad = 0.3 * w.detach() + torch.randn(8, 8, generator=generator)
        optimizer.step()
    return w.detach()


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_at_momentum_0_a_velocity_rule_is_sgd_bit_for_bit(name: str, weight_decay: float) -> None:
    plain = steps("sgd", 20, weight_decay=weight_decay)
    assert torch.equal(steps(name, 20, momentum=0.0, weight_decay=weight_decay), plain)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_with_momentum_a_velocity_rule_is_not_sgd(name: str) -> None:
    assert not torch.equal(steps(name, 20, momentum=0.5), steps("sgd", 20))


def test_nesterov_looks_ahead_and_momentum_does_not() -> None:
    assert not torch.equal(steps("nesterov", 20, momentum=0.9), steps("momentum", 20, momentum=0.9))


# --- weight decay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", optimizers.names())
def test_weight_decay_shrinks_weights_and_leaves_biases_alone(name: str) -> None:
    layer = torch.nn.Linear(3, 2)
    for p in layer.parameters():
        torch.nn.init.ones_(p)
        p.grad = torch.zeros_like(p)
    optimizers.build(name, layer.parameters(), lr=0.01, weight_decay=0.5).step()
    assert torch.all(layer.weight.detach() < 1)
    assert torch.all(layer.bias.detach() == 1)


@pytest.mark.parametrize("name", optimizers.names())
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
    assert f"torch.optim.{type(built).__name__}" == row["torch_class"]


@pytest.mark.parametrize(
    ("name", "torch_class", "differs"),
    [
        ("sgd", torch.optim.SGD, {}),
        ("momentum", torch.optim.SGD, {"momentum": 0.9}),
        ("nesterov", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ("adagrad", torch.optim.Adagrad, {}),
        ("rmsprop", torch.optim.RMSprop, {}),
        ("adam", torch.optim.Adam, {}),
    ],
)
def test_what_is_not_given_is_torchs_default(
    name: str, torch_class: type[torch.optim.Optimizer], differs: dict[str, Any]
) -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    (group,) = optimizers.build(name, [weight]).param_groups
    (default,) = torch_class([weight]).param_groups  # type: ignore[call-arg]
    assert group == {**default, **differs}


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
        "optimizer 'adma' is unknown; legal: sgd, momentum, nesterov, adagrad, rmsprop, adam"
    )
