"""What a trial's budget is charged, and where it ends."""

from collections.abc import Callable

import pytest

from sweeper.optimizers import ARMS
from sweeper.optimizers.arm import StepCost
from sweeper.optimizers.loss_rules import BudgetSpentError
from sweeper.training.ledger import Ledger

Charge = Callable[[Ledger], None]


@pytest.mark.parametrize(
    ("charge", "samples"),
    [
        (lambda ledger: ledger.gradient(300), 300),
        (lambda ledger: ledger.forward(300), 100),
        (lambda ledger: ledger.hessian(300, 7), 300 * 7 * 2),
    ],
    ids=["gradient", "forward", "hessian"],
)
def test_a_sample_costs_1_for_a_gradient_a_third_for_a_forward_pass_and_2_for_a_product(
    charge: Charge, samples: int
) -> None:
    ledger = Ledger(1_000, 10)
    charge(ledger)
    assert ledger.samples == samples


def test_many_thirds_add_up_exactly() -> None:
    ledger = Ledger(10_003, 1)
    for _ in range(30_009):
        ledger.forward(1)
    assert ledger.samples == 10_003
    assert ledger.progress == 1
    with pytest.raises(BudgetSpentError):
        ledger.forward(1)


@pytest.mark.parametrize(("n_forwards", "samples"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2)])
def test_samples_are_rounded_to_whole_ones(n_forwards: int, samples: int) -> None:
    ledger = Ledger(10, 1)
    for _ in range(n_forwards):
        ledger.forward(1)
    assert ledger.samples == samples


@pytest.mark.parametrize(
    "charge",
    [
        lambda ledger: ledger.gradient(2),
        lambda ledger: ledger.forward(4),
        lambda ledger: ledger.hessian(1, 1),
    ],
    ids=["gradient", "forward", "hessian"],
)
def test_what_would_pass_the_budget_is_refused_and_not_charged(charge: Charge) -> None:
    ledger = Ledger(10, 2)
    ledger.gradient(19)
    with pytest.raises(BudgetSpentError):
        charge(ledger)
    assert ledger.samples == 19
    assert ledger.grad_evals == 1
    ledger.gradient(1)  # what is left can still be spent
    assert ledger.progress == 1


def test_epochs_are_counted_once_they_are_spent_in_full() -> None:
    ledger = Ledger(10, 5)
    found = []
    for _ in range(4):
        ledger.gradient(7)
        found.append(ledger.epochs)
    assert found == [0, 1, 2, 2]


def test_an_epoch_that_lacks_a_third_of_a_sample_is_not_in_full() -> None:
    ledger = Ledger(10, 5)
    ledger.gradient(9)
    ledger.forward(2)
    assert (ledger.samples, ledger.epochs) == (10, 0)
    ledger.forward(1)
    assert ledger.epochs == 1


def test_progress_is_the_share_of_the_samples_that_is_spent() -> None:
    ledger = Ledger(100, 4)
    assert ledger.progress == 0
    ledger.gradient(100)
    assert ledger.progress == 0.25
    ledger.forward(300)
    assert ledger.progress == 0.5


def test_gradients_are_counted_and_forward_passes_are_not() -> None:
    ledger = Ledger(100, 9)
    ledger.gradient(100)
    ledger.forward(100)
    ledger.hessian(10, 3)
    ledger.gradient(10)
    assert ledger.grad_evals == 2


@pytest.mark.parametrize(
    ("cost", "left", "affords"),
    [
        (StepCost(gradients=1), 10, True),
        (StepCost(gradients=1), 9, False),
        (StepCost(gradients=1, forwards=1), 13, False),  # 10 and 10 thirds: 13 1/3
        (StepCost(gradients=1, forwards=1), 14, True),
        (StepCost(forwards=3), 10, True),
        (StepCost(hessians=1), 60, True),  # 3 parameters
        (StepCost(hessians=1), 59, False),
    ],
)
def test_a_step_is_affordable_up_to_the_last_sample(cost: StepCost, left: int, affords: bool) -> None:
    ledger = Ledger(100, 1)
    ledger.gradient(100 - left)
    assert ledger.affords(cost, 10, 3) is affords


@pytest.mark.parametrize("name", ARMS)
def test_a_first_step_that_is_affordable_can_be_paid(name: str) -> None:
    cost, n_images, n_parameters = ARMS[name].first_step, 7, 5
    ledger = Ledger(1, 200)
    spent = 0
    while ledger.affords(cost, n_images, n_parameters):
        for _ in range(cost.gradients):
            ledger.gradient(n_images)
        for _ in range(cost.forwards):
            ledger.forward(n_images)
        for _ in range(cost.hessians):
            ledger.hessian(n_images, n_parameters)
        spent += 1
    assert spent == 200 // (n_images * cost.per_image(n_parameters))


# --- a budget in steps -----------------------------------------------------------------------------------


def test_a_budget_in_steps_pays_for_any_step_however_dear() -> None:
    ledger = Ledger(10, 1, max_steps=3)
    assert ledger.affords(StepCost(hessians=1), 10, 2_500)
    ledger.hessian(10, 2_500)
    assert ledger.samples == 50_000
    assert ledger.epochs == 5_000


def test_a_budget_in_steps_ends_with_its_last_step() -> None:
    ledger = Ledger(10, 1, max_steps=3)
    found = []
    for _ in range(4):
        found.append((ledger.affords(StepCost(gradients=1), 10), ledger.progress))
        ledger.steps += 1
    assert [affords for affords, _ in found] == [True, True, True, False]
    assert [progress for _, progress in found] == pytest.approx([0, 1 / 3, 2 / 3, 1])
