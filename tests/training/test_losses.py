"""The losses, held against the lecture's sums written out as loops."""

import math

import numpy as np
import pytest
import torch

from sweeper.training import losses

# The lecture's cat: scores of cat, car and frog, and cat is right.
CAT = torch.tensor([[3.2, 5.1, -1.7]])
FIRST = torch.tensor([0])

EVERY_LOSS = pytest.mark.parametrize("name", losses.LOSSES)


def scores_and_labels(n: int = 7, n_classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    scores = 2 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return scores, torch.randint(n_classes, (n,), generator=generator)


def hinge_by_a_loop(scores: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """Each sample's Σ_{j≠y} max(0, s_j - s_y + 1)."""
    found = []
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        found.append(sum(max(0.0, s - row[label] + 1) for j, s in enumerate(row) if j != label))
    return found


def cross_entropy_by_a_loop(scores: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """Each sample's -log of the right class's share."""
    found = []
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        found.append(-math.log(math.exp(row[label]) / sum(math.exp(s) for s in row)))
    return found


BY_LOOPS = {"hinge": hinge_by_a_loop, "cross_entropy": cross_entropy_by_a_loop}


def test_hinge_gives_the_lectures_numbers() -> None:
    scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    labels = torch.tensor([0, 1, 2])
    each = [losses.hinge(scores[i : i + 1], labels[i : i + 1]).item() for i in range(3)]
    assert each == pytest.approx([2.9, 0, 12.9], abs=1e-6)
    assert losses.hinge(scores, labels).item() == pytest.approx(5.27, abs=5e-3)


def test_cross_entropy_gives_the_lectures_number() -> None:
    assert losses.cross_entropy(CAT, FIRST).item() == pytest.approx(2.04, abs=5e-3)


@EVERY_LOSS
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_is_the_plain_loops(name: str, reduction: str) -> None:
    scores, labels = scores_and_labels()
    each = BY_LOOPS[name](scores, labels)
    expected = sum(each) if reduction == "sum" else sum(each) / len(each)
    found = losses.LOSSES[name](scores, labels, reduction=reduction).item()
    assert found == pytest.approx(expected, rel=1e-12)


@EVERY_LOSS
def test_a_loss_is_the_mean_unless_the_sum_is_asked_for(name: str) -> None:
    scores, labels = scores_and_labels()
    loss = losses.LOSSES[name]
    assert loss(scores, labels).item() == loss(scores, labels, reduction="mean").item()


@pytest.mark.parametrize("n_classes", [2, 10, 100])
def test_at_equal_scores_a_loss_is_at_chance_level(n_classes: int) -> None:
    scores, labels = torch.full((4, n_classes), 0.7), torch.arange(4) % n_classes
    assert losses.hinge(scores, labels).item() == pytest.approx(n_classes - 1, rel=1e-6)
    assert losses.cross_entropy(scores, labels).item() == pytest.approx(math.log(n_classes), rel=1e-6)


def test_hinge_is_exactly_0_where_every_margin_is_kept() -> None:
    scores = torch.tensor([[8.3, 1.1, -7.9], [-2.0, 3.7, 0.1]])
    assert losses.hinge(scores, torch.tensor([0, 1])).item() == 0


def test_hinges_gradient_is_the_written_out_one() -> None:
    scores, labels = scores_and_labels()
    # 1 for each other class within the margin; minus their number for the label's own; over N for the mean.
    expected = np.zeros(scores.shape)
    for i, (row, label) in enumerate(zip(scores.tolist(), labels.tolist(), strict=True)):
        for j, s in enumerate(row):
            if j != label and s - row[label] + 1 > 0:
                expected[i, j] += 1
                expected[i, label] -= 1
    scores.requires_grad_()
    losses.hinge(scores, labels).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), expected / len(labels), atol=1e-15)


def test_cross_entropys_gradient_is_the_written_out_one() -> None:
    scores, labels = scores_and_labels()
    shares = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(axis=1, keepdims=True)
    expected = (shares - np.eye(scores.shape[1])[labels.numpy()]) / len(labels)
    scores.requires_grad_()
    losses.cross_entropy(scores, labels).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), expected, atol=1e-15)


# --- the penalty -----------------------------------------------------------------------------------------


def small_network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(4, 3)
    )


def test_the_penalty_is_half_the_weight_decay_times_the_sum_of_squares() -> None:
    weight, bias = torch.tensor([[1.0, -2.0], [3.0, 0.5]]), torch.tensor([100.0, 100.0])
    assert losses.penalty([weight, bias], 0.1).item() == pytest.approx(0.05 * (1 + 4 + 9 + 0.25))


def test_the_penaltys_gradient_is_the_weight_decay_times_w_and_nothing_for_other_parameters() -> None:
    network = small_network()
    losses.penalty(network.parameters(), 0.3).backward()  # type: ignore[no-untyped-call]
    for p in network.parameters():
        if p.ndim > 1:
            assert p.grad is not None
            torch.testing.assert_close(p.grad, 0.3 * p.detach())
        else:
            assert p.grad is None


def test_the_penalty_in_the_loss_is_sgds_own_weight_decay() -> None:
    inside, torchs = small_network(), small_network()
    rules = (
        torch.optim.SGD(inside.parameters(), lr=0.1),
        torch.optim.SGD([p for p in torchs.parameters() if p.ndim > 1], lr=0.1, weight_decay=0.3),
        torch.optim.SGD([p for p in torchs.parameters() if p.ndim == 1], lr=0.1),
    )
    images = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    for network in (inside, torchs):
        loss = losses.hinge(network(images), torch.arange(6) % 3)
        (loss + losses.penalty(network.parameters(), 0.3) if network is inside else loss).backward()
    for rule in rules:
        rule.step()
    for p, q in zip(inside.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(p, q)
