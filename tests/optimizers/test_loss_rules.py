"""The rules that look at the loss, on functions whose answers are known, with every evaluation counted."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.optimize
import torch

from sweeper import optimizers
from sweeper.optimizers.arm import StepCost
from sweeper.optimizers.loss_rules import BFGS, LBFGS, LocalSearch, LossRule, Newton, RandomSearch
from sweeper.training.ledger import Ledger

Function = Callable[[torch.Tensor], torch.Tensor]
Vector = npt.NDArray[np.float64]

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
BY_GRADIENT = pytest.mark.parametrize("rule_class", [LBFGS, BFGS, Newton])


class Counted:
    """An objective over one parameter that counts what it is asked for, and keeps each loss and its place."""

    def __init__(self, function: Function, weights: torch.nn.Parameter, ledger: Ledger | None = None) -> None:
        self.function = function
        self.weights = weights
        self.gradients = self.forwards = self.hessians = 0
        self.losses: list[float] = []
        self.places: list[torch.Tensor] = []
        self._ledger = ledger or Ledger(1, 1_000_000)

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.gradients, self.forwards, self.hessians

    def __call__(self) -> float:
        self._ledger.gradient(1)
        self.gradients += 1
        self.weights.grad = None
        with torch.enable_grad():
            loss = self.function(self.weights)
            loss.backward()  # type: ignore[no-untyped-call]
        return self._kept(loss)

    def loss(self) -> float:
        self._ledger.forward(1)
        self.forwards += 1
        with torch.no_grad():
            return self._kept(self.function(self.weights))

    def hessian(self) -> torch.Tensor:
        n = self.weights.numel()
        self._ledger.hessian(1, n)
        self.hessians += 1
        found = torch.autograd.functional.hessian(self.function, self.weights.detach().clone())
        assert isinstance(found, torch.Tensor)
        return found.reshape(n, n)

    def _kept(self, loss: torch.Tensor) -> float:
        self.losses.append(loss.item())
        self.places.append(self.weights.detach().clone())
        return loss.item()


# A quadratic with its minimum away from 0: the solution of A w = b.
A = np.array([[3.0, 1.0, 0.2], [1.0, 2.0, 0.1], [0.2, 0.1, 0.5]])
B = np.array([0.3, -0.7, 1.1])
START = np.array([1.0, -2.0, 3.0])


def quadratic(w: torch.Tensor) -> torch.Tensor:
    return w @ torch.tensor(A, dtype=w.dtype) @ w / 2 - torch.tensor(B, dtype=w.dtype) @ w + 2


def rosenbrock(w: torch.Tensor) -> torch.Tensor:
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


def two_wells(w: torch.Tensor) -> torch.Tensor:
    """Minima at (-1, 0) and (1, 0), where it is 0, and a saddle between them."""
    return (w[0] ** 2 - 1) ** 2 + w[1] ** 2


def parameter(values: npt.ArrayLike, dtype: torch.dtype = torch.float64) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(np.array(values), dtype=dtype))


def run(rule: LossRule, objective: Counted, n_steps: int = 200) -> list[float]:
    """The loss after each step, to the rule's end or for `n_steps`."""
    losses: list[float] = []
    while not rule.has_ended and len(losses) < n_steps:
        losses.append(rule.step(objective))
    return losses


# --- Newton ----------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("damping", [1e-3, 0.1, 10.0])
def test_newton_takes_exactly_the_damped_step(damping: float, dtype: torch.dtype) -> None:
    w = parameter(START, dtype)
    Newton([w], damping=damping).step(Counted(quadratic, w))
    expected = START - np.linalg.solve(A + damping * np.eye(3), A @ START - B)
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=tolerance)


def test_newton_reaches_a_quadratics_minimum_in_one_step_as_damping_goes_to_0() -> None:
    w = parameter(START)
    Newton([w], damping=1e-14).step(Counted(quadratic, w))
    np.testing.assert_allclose(w.detach().numpy(), np.linalg.solve(A, B), rtol=1e-10)


def test_newtons_lr_is_the_first_length_that_is_tried() -> None:
    w = parameter(START)
    Newton([w], lr=0.25, damping=1e-14).step(Counted(quadratic, w))
    np.testing.assert_allclose(w.detach().numpy(), START + 0.25 * (np.linalg.solve(A, B) - START), rtol=1e-10)


def test_newton_grows_its_damping_tenfold_where_the_hessian_is_indefinite() -> None:
    x, y = 0.1, 1.0
    w = parameter([x, y])
    Newton([w], damping=0.5).step(Counted(two_wells, w))
    curvature = np.array([12 * x**2 - 4, 2.0])  # -3.88 and 2: 0.5 doesn't make both positive, 5 does
    expected = np.array([x, y]) - np.array([4 * x**3 - 4 * x, 2 * y]) / (curvature + 5)
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 1e-4, 1.0])
def test_newton_leaves_a_saddle_downhill(damping: float) -> None:
    w = parameter([0.1, 1.0])
    losses = run(Newton([w], damping=damping), Counted(two_wells, w))
    assert losses[-1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(w.detach().numpy(), [1, 0], atol=1e-6)


@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_newton_ends_where_the_hessian_is_not_finite(entry: float) -> None:
    class Broken(Counted):
        def hessian(self) -> torch.Tensor:
            return torch.full((3, 3), entry)

    w = parameter(START)
    rule = Newton([w])
    rule.step(Broken(quadratic, w))
    assert rule.has_ended
    assert w.tolist() == START.tolist()


# --- BFGS ------------------------------------------------------------------------------------------------


def updated(inverse: Vector, s: Vector, y: Vector) -> Vector:
    """Formula 6.17 of Nocedal and Wright 2006, as it is printed."""
    rho, eye = 1 / (y @ s), np.eye(len(s))
    left, right = eye - rho * np.outer(s, y), eye - rho * np.outer(y, s)
    return np.asarray(left @ inverse @ right + rho * np.outer(s, s))


def inverses(damping: float, n_steps: int) -> list[tuple[Vector, Vector, Vector]]:
    """The inverse after each step on the quadratic, with the pair s and y of H + damping I."""
    w = parameter(START)
    rule, objective = BFGS([w], damping=damping), Counted(quadratic, w)
    found = []
    for _ in range(n_steps):
        before = w.detach().numpy().copy()
        rule.step(objective)
        s = w.detach().numpy() - before
        found.append((rule.memory["inverse"].numpy().copy(), s, A @ s + damping * s))
    return found


@pytest.mark.parametrize("damping", [1e-4, 0.5])
def test_bfgs_keeps_the_secant_equation_of_the_damped_hessian(damping: float) -> None:
    for inverse, s, y in inverses(damping, 6):
        np.testing.assert_allclose(inverse @ y, s, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("damping", [1e-4, 0.5])
def test_bfgs_updates_by_the_printed_formula_from_the_first_scaling_on(damping: float) -> None:
    _, s, y = inverses(damping, 1)[0]
    expected = (y @ s) / (y @ y) * np.eye(3)  # formula 6.20
    for inverse, s, y in inverses(damping, 6):
        expected = updated(expected, s, y)
        np.testing.assert_allclose(inverse, expected, rtol=1e-6)


def test_bfgs_comes_close_to_the_inverse_of_the_damped_hessian() -> None:
    wanted = np.linalg.inv(A + 0.5 * np.eye(3))
    errors = [np.linalg.norm(inverse - wanted) / np.linalg.norm(wanted) for inverse, *_ in inverses(0.5, 8)]
    assert errors[0] > 0.4
    assert errors[-1] < 0.01


# --- L-BFGS, against torch's own -------------------------------------------------------------------------


def as_usually_called(
    function: Function, w: torch.nn.Parameter, history: int, n_calls: int
) -> tuple[int, int]:
    """torch's L-BFGS with 20 iterations a step, and what it took: iterations and evaluations."""
    # A large max_eval: newer versions would cut the last line search of a call short.
    rule = torch.optim.LBFGS(
        [w], max_iter=20, max_eval=1_000, history_size=history, line_search_fn="strong_wolfe"
    )
    objective = Counted(function, w)

    def closure() -> float:
        return objective()

    for _ in range(n_calls):
        rule.step(closure)  # type: ignore[no-untyped-call]
    return rule.state[w]["n_iter"], objective.gradients


@DTYPES
@pytest.mark.parametrize("history", [2, 10])
def test_lbfgs_goes_where_torchs_goes_with_fewer_evaluations(history: int, dtype: torch.dtype) -> None:
    start = np.linspace(-1.2, 1.0, 8)
    usual = parameter(start, dtype)
    n_iterations, n_usual = as_usually_called(rosenbrock, usual, history, n_calls=2)
    w = parameter(start, dtype)
    objective = Counted(rosenbrock, w)
    run(LBFGS([w], history=history), objective, n_iterations)
    assert torch.equal(w, usual)
    assert n_iterations == 40
    assert objective.gradients == n_usual - 1  # the second call's first evaluation


def test_lbfgs_asks_for_no_point_twice() -> None:
    w = parameter(np.linspace(-1.2, 1.0, 8))
    objective = Counted(rosenbrock, w)
    run(LBFGS([w]), objective, 30)
    assert len({tuple(place.tolist()) for place in objective.places}) == objective.gradients


def test_lbfgs_remembers_as_many_steps_as_its_history_says() -> None:
    w = parameter(np.linspace(-1.2, 1.0, 8))
    rule = LBFGS([w], history=3)
    run(rule, Counted(rosenbrock, w), 20)
    assert len(rule.memory["old_dirs"]) == 3


def test_lbfgs_shortens_a_first_step_that_is_too_long() -> None:
    w = parameter([-1.2, 1.0])
    rule, objective = LBFGS([w], lr=10.0), Counted(rosenbrock, w)
    assert rule.step(objective) < 24.2  # Rosenbrock's function at (-1.2, 1)
    assert max(objective.losses) > 24.2
    assert not rule.has_ended


# --- what all three keep to ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule_class", "method"), [(BFGS, "BFGS"), (LBFGS, "L-BFGS-B"), (Newton, "Newton-CG")]
)
def test_a_rule_ends_where_scipys_does_on_rosenbrocks_function(rule_class: Any, method: str) -> None:
    start = np.array([1.3, 0.7, 0.8, 1.9])
    expected = scipy.optimize.minimize(
        scipy.optimize.rosen, start, method=method, jac=scipy.optimize.rosen_der, options={"maxiter": 500}
    )
    w = parameter(start)
    rule = rule_class([w])
    run(rule, Counted(rosenbrock, w))
    assert rule.has_ended
    np.testing.assert_allclose(w.detach().numpy(), expected.x, atol=2e-4)


@BY_GRADIENT
@DTYPES
def test_a_rule_ends_at_a_quadratics_minimum(rule_class: Any, dtype: torch.dtype) -> None:
    w = parameter(START, dtype)
    rule = rule_class([w])
    losses = run(rule, Counted(quadratic, w), 50)
    assert rule.has_ended
    assert losses[-1] == pytest.approx(2 - B @ np.linalg.solve(A, B) / 2, rel=1e-6)
    tolerance = 1e-6 if dtype is torch.float64 else 1e-3
    np.testing.assert_allclose(w.detach().numpy(), np.linalg.solve(A, B), atol=tolerance)


@BY_GRADIENT
@DTYPES
@pytest.mark.parametrize(("function", "start"), [(rosenbrock, [-1.2, 1.0]), (two_wells, [0.1, 1.0])])
def test_a_step_never_raises_the_loss(
    rule_class: Any, dtype: torch.dtype, function: Function, start: list[float]
) -> None:
    w = parameter(start, dtype)
    with torch.no_grad():
        at_start = function(w).item()
    losses = [at_start, *run(rule_class([w]), Counted(function, w))]
    assert all(after <= before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 1e-6


@BY_GRADIENT
@DTYPES
def test_a_step_gives_the_loss_where_it_ended(rule_class: Any, dtype: torch.dtype) -> None:
    w = parameter([-1.2, 1.0], dtype)
    rule, objective = rule_class([w]), Counted(rosenbrock, w)
    for _ in range(8):
        loss = rule.step(objective)
        with torch.no_grad():
            assert loss == rosenbrock(w).item()


@BY_GRADIENT
def test_a_rule_that_starts_at_a_minimum_asks_for_one_gradient_and_ends(rule_class: Any) -> None:
    w = parameter([1.0, 1.0])
    rule, objective = rule_class([w]), Counted(rosenbrock, w)
    assert rule.step(objective) == 0
    assert rule.has_ended
    assert objective.counts == (1, 0, 0)
    assert w.tolist() == [1, 1]


@BY_GRADIENT
def test_a_rule_that_is_not_at_its_end_has_not_ended(rule_class: Any) -> None:
    w = parameter([-1.2, 1.0])
    rule = rule_class([w])
    run(rule, Counted(rosenbrock, w), 5)
    assert not rule.has_ended


# --- what a step costs -----------------------------------------------------------------------------------


def spent_by_step(name: str, function: Function, start: npt.ArrayLike, n_steps: int) -> list[tuple[int, ...]]:
    """Gradients, forward passes and Hessians of each step that didn't end the run."""
    w = parameter(start)
    rule, objective = optimizers.build(name, [w]), Counted(function, w)
    assert isinstance(rule, LossRule)
    spent = []
    for _ in range(n_steps):
        before = objective.counts
        rule.step(objective)
        if rule.has_ended:
            break
        spent.append(tuple(after - b for after, b in zip(objective.counts, before, strict=True)))
    return spent


def as_counts(cost: StepCost) -> tuple[int, int, int]:
    return cost.gradients, cost.forwards, cost.hessians


BY_LOSS = [name for name, arm in optimizers.ARMS.items() if arm.sees.asks_for_the_loss]


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_step_costs_at_least_what_its_arm_promises(name: str) -> None:
    arm = optimizers.ARMS[name]
    first, *later = spent_by_step(name, rosenbrock, [-1.2, 1.0], 15)
    assert all(n >= least for n, least in zip(first, as_counts(arm.first_step), strict=True))
    assert later
    for spent in later:
        assert all(n >= least for n, least in zip(spent, as_counts(arm.later_step), strict=True))


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_step_costs_no_more_than_promised_where_its_first_length_pays(name: str) -> None:
    arm = optimizers.ARMS[name]
    first, *later = spent_by_step(name, lambda w: 0.3 * (w * w).sum() + 0.2 * w[0] ** 2, [1.0, 2.0], 6)
    assert first == as_counts(arm.first_step)
    assert min(later) == as_counts(arm.later_step)


# --- a budget that ends in the middle --------------------------------------------------------------------


def until_spent(name: str, epochs: int) -> tuple[torch.nn.Parameter, Counted, LossRule]:
    """A run on Rosenbrock's function as in a trial: a step begins where its least cost is affordable."""
    w = parameter([-1.2, 1.0])
    ledger = Ledger(1, epochs)
    objective, rule, arm = Counted(rosenbrock, w, ledger), optimizers.build(name, [w]), optimizers.ARMS[name]
    assert isinstance(rule, LossRule)
    while not rule.has_ended and ledger.affords(arm.later_step if ledger.steps else arm.first_step, 1, 2):
        rule.step(objective)
        ledger.steps += 1
    return w, objective, rule


@pytest.mark.parametrize("name", ["lbfgs", "bfgs", "newton"])
def test_wherever_the_budget_ends_the_weights_are_at_the_best_point_seen(name: str) -> None:
    ended = set()
    for epochs in range(6, 60):
        w, objective, rule = until_spent(name, epochs)
        with torch.no_grad():
            assert rosenbrock(w).item() == min(objective.losses)
        ended.add(rule.has_ended)
    assert ended == {True, False}  # in the middle of a step, and between two


def test_lbfgs_ends_in_the_middle_of_a_line_search_at_its_best_point() -> None:
    w = parameter([-1.2, 1.0])
    rule, objective = LBFGS([w], lr=10.0), Counted(rosenbrock, w, Ledger(1, 2))
    assert rule.step(objective) == min(objective.losses) == pytest.approx(24.2)
    assert rule.has_ended
    assert objective.losses[1] > 24.2
    assert w.tolist() == [-1.2, 1]


@pytest.mark.parametrize("rule_class", [BFGS, Newton])
def test_a_backtracking_rule_goes_back_to_its_start_where_the_budget_ends_before_a_step_pays(
    rule_class: Any,
) -> None:
    w = parameter([-1.2, 1.0])
    rule, objective = rule_class([w], lr=1e6), Counted(rosenbrock, w, Ledger(1, 6))
    assert rule.step(objective) == objective.losses[0]
    assert rule.has_ended
    assert objective.forwards > 1
    assert w.tolist() == [-1.2, 1]


# --- losses that are not finite --------------------------------------------------------------------------


@BY_GRADIENT
def test_a_loss_that_is_nan_from_the_start_ends_the_rule(rule_class: Any) -> None:
    w = parameter(START)
    rule, objective = rule_class([w]), Counted(lambda w: (w * torch.nan).sum(), w)
    assert not np.isfinite(rule.step(objective))
    assert rule.has_ended
    assert sum(objective.counts) == 1
    assert w.tolist() == START.tolist()


@BY_GRADIENT
@DTYPES
def test_a_loss_that_is_nan_everywhere_else_ends_the_rule_where_it_stands(
    rule_class: Any, dtype: torch.dtype
) -> None:
    w = parameter(START, dtype)
    start = w.detach().clone()

    def island(w: torch.Tensor) -> torch.Tensor:
        return quadratic(w) if torch.equal(w.detach(), start) else (w * torch.nan).sum()

    rule, objective = rule_class([w]), Counted(island, w)
    run(rule, objective, 3)
    assert rule.has_ended
    assert len(objective.losses) <= 50
    assert torch.equal(w.detach(), start)


@BY_GRADIENT
@pytest.mark.parametrize("lr", [1.0, 10.0])
def test_a_line_search_turns_back_from_where_the_loss_is_nan(rule_class: Any, lr: float) -> None:
    def walled(w: torch.Tensor) -> torch.Tensor:
        return (10 * (w - 0.9) ** 2 - torch.log(1 - w) - torch.log(1 + w)).sum()  # NaN beyond -1 and 1

    expected = scipy.optimize.brentq(lambda x: 20 * (x - 0.9) + 1 / (1 - x) - 1 / (1 + x), -0.9, 0.99)
    w = parameter([-0.5])
    rule = rule_class([w], lr=lr)
    run(rule, Counted(walled, w))
    assert rule.has_ended
    assert w.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rule_class", [RandomSearch, LocalSearch])
def test_a_search_stays_where_it_is_among_losses_that_are_nan(rule_class: Any) -> None:
    w = parameter(START)
    rule = rule_class([w])
    run(rule, Counted(lambda w: (w * torch.nan).sum(), w), 5)
    assert w.tolist() == START.tolist()


# --- searches without a gradient -------------------------------------------------------------------------


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def towards_one(w: torch.Tensor) -> torch.Tensor:
    return ((w - 1) ** 2).sum()


@DTYPES
def test_random_search_keeps_the_best_of_its_draws(dtype: torch.dtype) -> None:
    generator = seeded()
    draws = [1e-4 * torch.randn(5, generator=generator).to(dtype) for _ in range(30)]
    w = parameter(np.zeros(5), dtype)
    losses = run(RandomSearch([w], seeded()), Counted(towards_one, w), 30)
    best = min(draws, key=lambda draw: towards_one(draw).item())
    torch.testing.assert_close(w.detach(), best, rtol=1e-6, atol=0)
    assert losses[-1] == min(losses) == towards_one(w.detach()).item()


def test_random_search_draws_weights_of_standard_deviation_1e_4_wherever_it_stands() -> None:
    w = parameter(np.full(10_000, 5.0))
    objective = Counted(towards_one, w)
    run(RandomSearch([w], seeded()), objective, 3)
    for place in objective.places:
        assert place.std().item() == pytest.approx(1e-4, rel=0.03)
        assert abs(place.mean().item()) < 4e-6


def test_random_search_asks_for_each_draw_once() -> None:
    w = parameter(np.zeros(5))
    objective = Counted(towards_one, w)
    run(RandomSearch([w], seeded()), objective, 12)
    assert objective.counts == (0, 12, 0)


def test_random_search_forgets_the_weights_that_it_began_with() -> None:
    w = parameter(np.ones(5))  # the minimum: no draw is as good
    run(RandomSearch([w], seeded()), Counted(towards_one, w), 3)
    assert w.detach().abs().max().item() < 1e-3


@DTYPES
def test_local_search_takes_the_steps_that_lower_the_loss_and_no_others(dtype: torch.dtype) -> None:
    generator, expected = seeded(), torch.zeros(5, dtype=dtype)
    for _ in range(30):
        candidate = expected + 0.1 * torch.randn(5, generator=generator).to(dtype)
        if towards_one(candidate) < towards_one(expected):
            expected = candidate
    w = parameter(np.zeros(5), dtype)
    run(LocalSearch([w], 0.1, seeded()), Counted(towards_one, w), 30)
    torch.testing.assert_close(w.detach(), expected, rtol=1e-5, atol=1e-7)


def test_local_search_never_gets_worse() -> None:
    w = parameter(np.zeros(5))
    losses = [5.0, *run(LocalSearch([w], 0.1, seeded()), Counted(towards_one, w), 50)]  # 5 at the start
    assert all(after <= before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 4


def test_local_searchs_steps_have_the_standard_deviation_that_is_asked_for() -> None:
    w = parameter(np.zeros(10_000))
    objective = Counted(lambda w: -(w * w).sum(), w)  # almost every step is accepted
    run(LocalSearch([w], 0.02, seeded()), objective, 5)
    for before, after in itertools.pairwise(objective.places):
        assert (after - before).std().item() == pytest.approx(0.02, rel=0.03)


def test_local_search_compares_candidate_and_incumbent_on_the_same_loss() -> None:
    w = parameter(np.zeros(5))
    objective = Counted(towards_one, w)
    losses = run(LocalSearch([w], 0.1, seeded()), objective, 10)
    assert objective.counts == (0, 11, 0)
    assert losses == [min(objective.losses[: k + 2]) for k in range(10)]


@pytest.mark.parametrize("name", ["random_search", "local_search"])
def test_a_search_with_the_same_seed_gives_the_same_weights(name: str) -> None:
    def found(seed: int) -> list[float]:
        w = parameter(np.zeros(5))
        rule = optimizers.build(name, [w], generator=seeded(seed))
        assert isinstance(rule, LossRule)
        torch.rand(seed + 1)  # draws from the global generator have no say
        run(rule, Counted(towards_one, w), 10)
        return list(w.tolist())

    assert found(1) == found(1)
    assert found(1) != found(2)


@pytest.mark.parametrize("rule_class", [RandomSearch, LocalSearch])
def test_a_search_whose_budget_is_spent_goes_back_to_the_best_weights(rule_class: Any) -> None:
    w = parameter(np.zeros(5))
    rule, objective = rule_class([w], generator=seeded()), Counted(towards_one, w, Ledger(1, 2))
    loss = run(rule, objective)[-1]
    assert rule.has_ended
    assert len(objective.losses) == 6
    assert towards_one(w.detach()).item() == loss == min(objective.losses)


# --- networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_rule_takes_the_same_steps_whatever_the_order_in_memory(name: str) -> None:
    start = torch.randn(4, 3, 3, 3, generator=seeded(), dtype=torch.float64)
    curvature = torch.rand(4, 3, 3, 3, generator=seeded(), dtype=torch.float64) + 0.1
    ended = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        w = torch.nn.Parameter(start.clone(memory_format=memory_format))
        options = {"generator": seeded()} if name.endswith("search") else {}
        rule = optimizers.build(name, [w], **options)
        assert isinstance(rule, LossRule)
        run(rule, Counted(lambda w: (curvature * w * w).sum(), w), 4)
        assert w.is_contiguous(memory_format=memory_format)
        ended.append(w.detach())
    torch.testing.assert_close(ended[0], ended[1])
    assert not torch.equal(ended[0], start)


@pytest.mark.parametrize("name", ["lbfgs", "bfgs", "newton"])
def test_several_parameters_are_one_vector(name: str) -> None:
    together = parameter(START)
    parts = [parameter(START[:1]), parameter(START[1:].reshape(2, 1))]

    class Parted(Counted):
        def __call__(self) -> float:
            self._gather()
            loss = super().__call__()
            assert self.weights.grad is not None
            for part, piece in zip(parts, self.weights.grad.split([1, 2]), strict=True):
                part.grad = piece.view(part.shape).clone()
            return loss

        def loss(self) -> float:
            self._gather()
            return super().loss()

        def _gather(self) -> None:
            with torch.no_grad():
                self.weights.copy_(torch.cat([part.reshape(-1) for part in parts]))

    for parameters, objective in (
        ([together], Counted(quadratic, together)),
        (parts, Parted(quadratic, parameter(START))),
    ):
        rule = optimizers.build(name, parameters)
        assert isinstance(rule, LossRule)
        run(rule, objective, 3)
    assert together.tolist() == [number for part in parts for number in part.reshape(-1).tolist()]


# --- stopping and going on -------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("name", BY_LOSS)
def test_a_rule_goes_on_from_its_state_as_if_it_had_never_stopped(name: str, dtype: torch.dtype) -> None:
    generator = seeded()
    options = {"generator": generator} if name.endswith("search") else {}
    w = parameter([-1.2, 1.0, 0.5], dtype)
    rule, objective = optimizers.build(name, [w], **options), Counted(rosenbrock, w)
    assert isinstance(rule, LossRule)
    run(rule, objective, 6)

    if options:
        options = {"generator": torch.Generator().set_state(generator.get_state())}
    again_w = torch.nn.Parameter(w.detach().clone())
    again, again_objective = optimizers.build(name, [again_w], **options), Counted(rosenbrock, again_w)
    assert isinstance(again, LossRule)
    again.load_state_dict(copy.deepcopy(rule.state_dict()))

    n_before = len(objective.losses)
    assert run(again, again_objective, 6) == run(rule, objective, 6)
    assert torch.equal(again_w, w)
    assert again_objective.losses == objective.losses[n_before:]
