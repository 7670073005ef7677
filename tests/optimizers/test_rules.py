"""The arms that `build` makes of torch's optimizers, held against the lecture's own rules, and both against
published numbers, against each other's limits, and against what the lecture says of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sweeper import optimizers
from sweeper.optimizers import rules
from sweeper.optimizers.rules import Gradient, State, Vector

N_STEPS = 100
Schedule = Callable[[int], float]

# --- problems --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A loss of some parameters, in double precision, and where to start."""

    loss: Callable[[list[torch.Tensor]], torch.Tensor]
    start: tuple[torch.Tensor, ...]
    scale: float = 1.0

    @property
    def w(self) -> Vector:
        return flat(self.start)

    def gradient(self, w: Vector) -> Vector:
        """torch's gradient at the flat weights `w`, for a rule of numpy."""
        parts = torch.from_numpy(w).split([part.numel() for part in self.start])
        tensors = [
            part.reshape(like.shape).requires_grad_() for part, like in zip(parts, self.start, strict=True)
        ]
        return flat(torch.autograd.grad(self.scale * self.loss(tensors), tensors))


def flat(tensors: Any) -> Vector:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).numpy().copy()


def quadratic(scale: float) -> Problem:
    """w' A w / 2 with curvatures from 0.01 to 100 along axes that are not those of the weights."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))[0]
    curvature = axes @ torch.diag(torch.logspace(-2, 2, 6, dtype=torch.float64)) @ axes.T

    def loss(w: list[torch.Tensor]) -> torch.Tensor:
        return w[0] @ curvature @ w[0] / 2

    return Problem(loss, (torch.randn(6, generator=generator, dtype=torch.float64),), scale)


def network(scale: float) -> Problem:
    """Two layers of weights and biases with tanh between them, and cross-entropy on 20 points."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    points, labels = draw(20, 4), torch.arange(20) % 3

    def loss(w: list[torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(F.linear(torch.tanh(F.linear(points, *w[:2])), *w[2:]), labels)

    return Problem(loss, (draw(5, 4), draw(5), draw(3, 5), draw(3)), scale)


def arm_path(
    name: str, problem: Problem, schedule: Schedule, n_steps: int = N_STEPS, **rates: float
) -> Vector:
    """The path of the arm `name`, of shape (n_steps + 1, D)."""
    weights = [torch.nn.Parameter(part.clone()) for part in problem.start]
    optimizer = optimizers.build(name, weights, **rates)
    path = [flat(weights)]
    for t in range(1, n_steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule(t)
        optimizer.zero_grad()
        (problem.scale * problem.loss(list(weights))).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        path.append(flat(weights))
    return np.stack(path)


def rule_path(
    rule: rules.Rule, problem: Problem, schedule: Schedule, n_steps: int = N_STEPS, **rates: float
) -> Vector:
    return rules.descend(rule, problem.w, problem.gradient, n_steps, lr=schedule, **rates)


def constant(lr: float) -> Schedule:
    return lambda t: lr


def cosine(lr: float) -> Schedule:
    return lambda t: lr * (1 + np.cos(np.pi * t / (N_STEPS + 1))) / 2


def assert_same_way(found: Vector, expected: Vector, tolerance: float = 1e-9) -> None:
    """Both paths lead the same way from their common start: differences are small beside the way made.

    With tiny gradients some rules hardly move. Held against the weights themselves, anything would do. What
    100 roundings of a weight near 1 may do is let through.
    """
    way = np.abs(expected - expected[0]).max()
    assert way > 1e-10
    atol = max(tolerance * way, 1e-14)
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=0, atol=atol)


problems = pytest.mark.parametrize("make_problem", [quadratic, network])
gradients = pytest.mark.parametrize("scale", [1.0, 1e-8], ids=["ordinary", "tiny"])
schedules = pytest.mark.parametrize("make_schedule", [constant, cosine])

# --- arms and rules --------------------------------------------------------------------------------------

LRS = {"sgd": 0.01, "momentum": 0.005, "nesterov": 0.005, "adagrad": 0.1, "rmsprop": 0.003, "adam": 0.01}
EPS = {name: {"eps": 1e-7} for name in ("adagrad", "rmsprop", "adam")}  # the lecture's
"""torch's own differ: 1e-10 for AdaGrad, 1e-8 for the others."""


def test_the_table_has_six_rows_and_each_is_tested() -> None:
    assert list(rules.RULES) == list(LRS)


@problems
@gradients
@schedules
@pytest.mark.parametrize("name", [name for name in LRS if name != "nesterov"])
def test_an_arm_is_the_lectures_rule(
    name: str,
    make_problem: Callable[[float], Problem],
    scale: float,
    make_schedule: Callable[[float], Schedule],
) -> None:
    problem, schedule, eps = make_problem(scale), make_schedule(LRS[name]), EPS.get(name, {})
    found = arm_path(name, problem, schedule, **eps)
    assert_same_way(found, rule_path(rules.RULES[name], problem, schedule, **eps))


@pytest.mark.parametrize(("name", "share"), [("adagrad", 1 / 2), ("rmsprop", 1 / 1.1), ("adam", 1 / 2)])
def test_a_rules_own_eps_is_the_lectures(name: str, share: float) -> None:
    # At the first step with a gradient of 1e-7 the root is 1e-7, but RMSProp's, which starts at 0, is 1e-8.
    path = rules.descend(rules.RULES[name], np.zeros(1), lambda w: np.full(1, 1e-7), 1, lr=1.0)
    assert path[1, 0] == pytest.approx(-share)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("momentum", {"momentum": 0.5}),
        ("rmsprop", {"decay": 0.6, "eps": 1e-7}),
        ("adam", {"beta1": 0.6, "beta2": 0.8, "eps": 1e-7}),
    ],
)
def test_an_arms_decay_rates_are_the_rules(name: str, rates: dict[str, float]) -> None:
    problem, schedule = network(1.0), cosine(LRS[name])
    found = arm_path(name, problem, schedule, **rates)
    assert_same_way(found, rule_path(rules.RULES[name], problem, schedule, **rates))


@problems
@gradients
def test_at_constant_lr_nesterovs_weights_are_the_lectures_w_plus_rho_v(
    make_problem: Callable[[float], Problem], scale: float
) -> None:
    problem, schedule = make_problem(scale), constant(LRS["nesterov"])
    w = rule_path(rules.nesterov, problem, schedule)
    v = np.diff(w, axis=0, prepend=w[:1])  # w += v
    assert_same_way(arm_path("nesterov", problem, schedule), w + 0.9 * v)


@problems
@gradients
@schedules
def test_nesterov_is_torchs_form_of_the_rule_at_any_lr(
    make_problem: Callable[[float], Problem], scale: float, make_schedule: Callable[[float], Schedule]
) -> None:
    problem, schedule = make_problem(scale), make_schedule(LRS["nesterov"])
    expected = rule_path(rules.nesterov_as_torch, problem, schedule)
    assert_same_way(arm_path("nesterov", problem, schedule), expected)


@gradients
def test_the_lectures_form_of_nesterov_departs_once_lr_changes(scale: float) -> None:
    problem = network(scale)

    def dropping(t: int) -> float:
        return 0.005 if t <= 20 else 0.0005

    w = rule_path(rules.nesterov, problem, dropping)
    ahead = w + 0.9 * np.diff(w, axis=0, prepend=w[:1])
    found = arm_path("nesterov", problem, dropping)
    assert_same_way(found[:21], ahead[:21])
    # The lecture's velocity holds the old lr and coasts on; torch's is scaled down with lr at once.
    way = np.abs(ahead - ahead[0]).max()
    assert np.abs(found[40] - ahead[40]).max() > 0.05 * way


# --- AdamW and NAdam: their papers' formulas, with torch's choices ------------------------------------------


def adamw(w: Vector, gradient: Gradient, state: State, *, lr: float, decay: Vector, eps: float) -> Vector:
    """Loshchilov and Hutter 2019, algorithm 2; the decay is scaled by lr, as torch has it."""
    g, t = gradient(w), state.get("t", 0) + 1
    m = 0.9 * state.get("m", 0.0) + 0.1 * g
    s = 0.999 * state.get("s", 0.0) + 0.001 * g**2
    state.update(t=t, m=m, s=s)
    return w - lr * (m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + eps) + decay * w)


def nadam(w: Vector, gradient: Gradient, state: State, *, lr: float, eps: float) -> Vector:
    """Dozat 2016; as in torch, mu follows his schedule with psi = 4e-3, and m decays by beta1 alone."""
    g, t = gradient(w), state.get("t", 0) + 1
    mu, next_mu = (0.9 * (1 - 0.5 * 0.96 ** (4e-3 * step)) for step in (t, t + 1))
    product = state.get("product", 1.0) * mu
    m = 0.9 * state.get("m", 0.0) + 0.1 * g
    s = 0.999 * state.get("s", 0.0) + 0.001 * g**2
    state.update(t=t, m=m, s=s, product=product)
    m_hat = next_mu * m / (1 - product * next_mu) + (1 - mu) * g / (1 - product)
    return w - lr * m_hat / (np.sqrt(s / (1 - 0.999**t)) + eps)


@gradients
@schedules
def test_adamw_is_its_papers_rule_and_decays_weights_but_no_biases(
    scale: float, make_schedule: Callable[[float], Schedule]
) -> None:
    problem, schedule = network(scale), make_schedule(0.01)
    rates = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    found = arm_path("adamw", problem, schedule, weight_decay=0.5, **rates)
    decay = 0.5 * np.concatenate([np.ones(20), np.zeros(5), np.ones(15), np.zeros(3)])
    expected = rules.descend(adamw, problem.w, problem.gradient, N_STEPS, lr=schedule, decay=decay, eps=1e-8)
    assert_same_way(found, expected)


def test_adamw_without_weight_decay_is_adam() -> None:
    problem, schedule = network(1.0), cosine(0.01)
    found = arm_path("adamw", problem, schedule, weight_decay=0.0)
    assert_same_way(found, arm_path("adam", problem, schedule))


@problems
@gradients
@schedules
def test_nadam_is_its_papers_rule(
    make_problem: Callable[[float], Problem], scale: float, make_schedule: Callable[[float], Schedule]
) -> None:
    problem, schedule = make_problem(scale), make_schedule(0.01)
    found = arm_path("nadam", problem, schedule, beta1=0.9, beta2=0.999, eps=1e-8)
    assert_same_way(found, rule_path(nadam, problem, schedule, eps=1e-8))


# --- published vectors -----------------------------------------------------------------------------------

# N, D = 4, 5 in the lecture; only the first row of the result is published.
W = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
DW = np.linspace(-0.6, 0.4, 20).reshape(4, 5)


def spread(low: float, high: float) -> Vector:
    return np.linspace(low, high, 20).reshape(4, 5)


PUBLISHED: dict[str, tuple[dict[str, float], State, State, list[float]]] = {
    # Published as v = rho v - lr dw; w += v. Both forms here keep -v / lr instead.
    "momentum": (
        {"lr": 1e-3, "momentum": 0.9},
        {"v": -spread(0.6, 0.9) / 1e-3},
        {"momentum_buffer": -spread(0.6, 0.9) / 1e-3},
        [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789],
    ),
    "rmsprop": (
        {"lr": 1e-2, "decay": 0.99, "eps": 1e-8},
        {"s": spread(0.6, 0.9)},
        {"step": 1.0, "square_avg": spread(0.6, 0.9)},
        [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247],
    ),
    # The next step is t = 6.
    "adam": (
        {"lr": 1e-2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        {"t": 5, "m": spread(0.6, 0.9), "s": spread(0.7, 0.5)},
        {"step": 5.0, "exp_avg": spread(0.6, 0.9), "exp_avg_sq": spread(0.7, 0.5)},
        [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977],
    ),
}
"""Hyperparameters, the state of the rule and of torch's optimizer, and the first row of the next weights."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_rule_gives_the_published_vector(name: str) -> None:
    rates, state, _, expected = PUBLISHED[name]
    found = rules.RULES[name](W, lambda w: DW, dict(state), **rates)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_arm_gives_the_published_vector(name: str) -> None:
    rates, _, state, expected = PUBLISHED[name]
    w = torch.nn.Parameter(torch.tensor(W))
    optimizer = optimizers.build(name, [w], **rates)
    optimizer.state[w] = {key: torch.as_tensor(value) for key, value in state.items()}
    w.grad = torch.tensor(DW)
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy()[0], expected, rtol=0, atol=5e-9)


# --- inclusions ------------------------------------------------------------------------------------------


def noisy_steps(name: str, n_steps: int = 20, **rates: float) -> torch.Tensor:
    """A weight matrix after some noisy steps, in single precision as in training."""
    generator = torch.Generator().manual_seed(0)
    w = torch.nn.Parameter(torch.randn(8, 8, generator=generator))
    optimizer = optimizers.build(name, [w], lr=0.05, **rates)
    for _ in range(n_steps):
        w.grad = 0.3 * w.detach() + torch.randn(8, 8, generator=generator)
        optimizer.step()
    return w.detach()


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_an_arm_with_a_velocity_is_sgd_bit_for_bit_at_rho_0(name: str, weight_decay: float) -> None:
    plain = noisy_steps("sgd", weight_decay=weight_decay)
    assert torch.equal(noisy_steps(name, momentum=0.0, weight_decay=weight_decay), plain)


@pytest.mark.parametrize("rule", [rules.momentum, rules.nesterov, rules.nesterov_as_torch])
def test_a_rule_with_a_velocity_is_sgd_bit_for_bit_at_rho_0(rule: rules.Rule) -> None:
    problem, schedule = network(1.0), cosine(0.01)
    found = rule_path(rule, problem, schedule, momentum=0.0)
    np.testing.assert_array_equal(found, rule_path(rules.sgd, problem, schedule))


def test_with_momentum_sgd_momentum_and_nesterov_are_three_rules() -> None:
    ends = [noisy_steps("sgd"), noisy_steps("momentum", momentum=0.5), noisy_steps("nesterov", momentum=0.5)]
    assert not any(torch.equal(ends[i], ends[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def adams_lr(lr: float, rho: float, eps: float) -> Schedule:
    """The lr at which Adam with beta1 = rho is momentum in the limit of a large eps.

    There w -= lr_adam / eps * m / (1 - rho**t), and m is (1 - rho) times the velocity.
    """
    return lambda t: lr * eps / (1 - rho) * (1 - rho**t)


@problems
@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_momentum_is_the_limit_of_adam_for_large_eps(
    make_problem: Callable[[float], Problem], rho: float
) -> None:
    problem = make_problem(1.0)
    schedule = adams_lr(0.005, rho, 1e12)
    rates = {"beta1": rho, "beta2": 0.999, "eps": 1e12}
    expected = rule_path(rules.momentum, problem, constant(0.005), momentum=rho)
    assert_same_way(rule_path(rules.adam, problem, schedule, **rates), expected, tolerance=1e-8)
    assert_same_way(arm_path("adam", problem, schedule, **rates), expected, tolerance=1e-8)


def test_adam_comes_nearer_to_momentum_in_proportion_to_eps() -> None:
    problem = network(1.0)
    expected = rule_path(rules.momentum, problem, constant(0.005))
    far, near = (
        np.abs(arm_path("adam", problem, adams_lr(0.005, 0.9, eps), eps=eps) - expected).max()
        for eps in (1e4, 1e6)
    )
    assert far / near == pytest.approx(100, rel=0.01)


# --- what the lecture says of them -----------------------------------------------------------------------


def test_adam_without_its_corrections_takes_steps_3_to_7_times_too_long_for_100_steps() -> None:
    draws = np.random.default_rng(0).normal(1, 1, (100, 5))

    def steps(rule: rules.Rule) -> Vector:
        given = iter(draws)  # the same gradients for both, wherever they go
        return np.diff(rules.descend(rule, np.zeros(5), lambda w: next(given), 100, lr=0.01, eps=0), axis=0)

    factors = steps(rules.adam_uncorrected) / steps(rules.adam)
    t = np.arange(1, 101)[:, None]
    closed_form = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    np.testing.assert_allclose(factors, np.broadcast_to(closed_form, factors.shape), rtol=1e-6)
    assert 3 < factors.min() < 3.2  # at the first step: 0.1 / sqrt(0.001)
    assert 6.5 < factors.max() < 7  # at the twelfth


def test_adagrads_steps_die_out_and_rmsprops_do_not() -> None:
    def last_step(rule: rules.Rule) -> float:
        w = rules.descend(rule, np.zeros(1), lambda w: np.ones(1), 10_000, lr=0.01)
        return float(w[-2, 0] - w[-1, 0])

    assert last_step(rules.adagrad) == pytest.approx(0.01 / 100, rel=1e-5)  # lr / sqrt(t)
    assert last_step(rules.rmsprop) == pytest.approx(0.01, rel=1e-5)


def test_newton_reaches_the_minimum_of_a_quadratic_in_one_step_however_ill_conditioned() -> None:
    hessian = np.diag([0.01, 1.0, 100.0])
    path = rules.descend(
        rules.newton, np.array([3.0, -2.0, 5.0]), lambda w: hessian @ w, 1, lr=1.0, hessian=lambda w: hessian
    )
    np.testing.assert_allclose(path[1], 0, atol=1e-12)


@pytest.mark.parametrize("name", LRS)
def test_rows_of_settings_go_their_ways_independently(name: str) -> None:
    start, lrs = np.array([1.0, -2.0]), np.array([[0.001], [0.01], [0.1]])

    def gradient(w: Vector) -> Vector:
        return np.array([1.0, 10.0]) * w

    together = rules.descend(rules.RULES[name], np.tile(start, (3, 1)), gradient, 30, lr=lrs)
    for row, lr in enumerate(lrs[:, 0]):
        alone = rules.descend(rules.RULES[name], start, gradient, 30, lr=float(lr))
        np.testing.assert_array_equal(together[:, row], alone)
