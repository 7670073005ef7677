import numpy as np
import pytest
import torch

from sweeper.lab import analytic
from sweeper.training import losses

WRITTEN_OUT = {"cross_entropy": analytic.softmax_cross_entropy, "hinge": analytic.multiclass_svm}

# The notes of CS231n on linear classification: a cat's image whose classes cat, car and frog score these.
CAT = np.array([3.2, 5.1, -1.7])


def at_scores(
    name: str, *scores: np.ndarray, labels: tuple[int, ...], l2: float = 0.0
) -> analytic.LossAndGradient:
    """The loss where each sample has the given scores: X the unit matrix, W the scores, b zero."""
    w = np.stack(scores)
    return WRITTEN_OUT[name](np.eye(len(w)), np.array(labels), w, np.zeros(w.shape[1]), l2)


def test_the_svm_loss_of_the_lectures_cat_is_2_9() -> None:
    assert at_scores("hinge", CAT, labels=(0,)).loss == pytest.approx(2.9)  # max(0, 2.9) + max(0, -3.9)


def test_the_svm_loss_of_the_lectures_three_images_is_their_mean() -> None:
    car, frog = np.array([1.3, 4.9, 2.0]), np.array([2.2, 2.5, -3.1])
    assert at_scores("hinge", CAT, car, frog, labels=(0, 1, 2)).loss == pytest.approx((2.9 + 0 + 12.9) / 3)


def test_the_softmax_loss_of_the_lectures_cat_is_2_04() -> None:
    assert at_scores("cross_entropy", CAT, labels=(0,)).loss == pytest.approx(2.04, abs=0.005)  # -ln 0.13


def test_the_softmax_gradient_of_the_lectures_cat_is_its_probabilities_less_1_for_the_label() -> None:
    db = at_scores("cross_entropy", CAT, labels=(0,)).db
    assert db == pytest.approx([0.13 - 1, 0.87, 0.00], abs=0.005)


def test_the_svm_gradient_counts_the_classes_above_the_margin() -> None:
    frog = np.array([2.2, 2.5, -3.1])  # labelled 2: both other classes are above the margin
    result = at_scores("hinge", frog, labels=(2,))
    assert result.db == pytest.approx([1, 1, -2])
    assert result.dw == pytest.approx(np.array([[1, 1, -2]]))


@pytest.mark.parametrize(("name", "loss"), [("cross_entropy", np.log(10)), ("hinge", 9.0)])
def test_equal_scores_of_ten_classes_cost_what_chance_costs(name: str, loss: float) -> None:
    assert at_scores(name, np.zeros(10), labels=(3,)).loss == pytest.approx(loss)


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_the_penalty_is_lambda_times_the_squared_weights(name: str) -> None:
    with_penalty, without = (at_scores(name, CAT, labels=(0,), l2=l2) for l2 in (0.5, 0.0))
    # 3.2² + 5.1² + 1.7² = 10.24 + 26.01 + 2.89 = 39.14
    assert with_penalty.loss - without.loss == pytest.approx(0.5 * 39.14)
    assert with_penalty.dw - without.dw == pytest.approx(CAT[None])
    assert with_penalty.db == pytest.approx(without.db)


def test_scores_of_a_thousand_overflow_nothing() -> None:
    result = at_scores("cross_entropy", np.array([1000.0, 0.0]), labels=(1,))
    assert result.loss == pytest.approx(1000)
    assert result.db == pytest.approx([1, -1])


@pytest.mark.parametrize("name", WRITTEN_OUT)
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_the_written_out_gradient_is_autograds(name: str, l2: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, labels = random.normal(size=(7, 12)), random.integers(0, 5, size=7)
    w, b = random.normal(size=(12, 5)), random.normal(size=5)
    found = WRITTEN_OUT[name](x, labels, w, b, l2)

    torch_w, torch_b = torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)
    scores = torch.from_numpy(x) @ torch_w + torch_b
    loss = losses.LOSSES[name](scores, torch.from_numpy(labels)) + losses.penalty([torch_w, torch_b], 2 * l2)
    dw, db = torch.autograd.grad(loss, [torch_w, torch_b])

    assert found.loss == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(found.dw, dw.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.db, db.numpy(), rtol=1e-12, atol=1e-13)
