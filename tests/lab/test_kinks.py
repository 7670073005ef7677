import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sweeper.lab.kinks import Kinks, same_side
from sweeper.training import losses


def sides(function, values: list[float]) -> list[torch.Tensor]:
    with torch.no_grad(), Kinks() as kinks:
        function(torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2))
    return kinks.sides


@pytest.mark.parametrize("relu", [F.relu, nn.ReLU(), nn.ReLU(inplace=True), lambda x: x.clamp(min=0)])
def test_a_relu_that_turns_on_is_another_side(relu) -> None:
    before = sides(relu, [-1.0, 2.0, -0.1, 3.0])
    assert same_side(before, sides(relu, [-0.5, 4.0, -0.2, 0.1]))
    assert not same_side(before, sides(relu, [-1.0, 2.0, 0.1, 3.0]))


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True, padding=1)]
)
def test_another_maximum_of_a_pool_is_another_side(pool) -> None:
    before = sides(pool, [1.0, 2.0, 3.0, 4.0])
    assert same_side(before, sides(pool, [1.5, 2.5, 3.5, 5.0]))
    assert not same_side(before, sides(pool, [1.0, 2.0, 5.0, 4.0]))


def test_a_margin_that_turns_positive_is_another_side() -> None:
    def hinge_of(*scores: float) -> list[torch.Tensor]:
        with Kinks() as kinks:
            losses.hinge(torch.tensor([scores]), torch.tensor([0]))
        return kinks.sides

    before = hinge_of(3.0, 1.9, 5.0)
    assert same_side(before, hinge_of(3.0, 1.5, 4.5))
    assert not same_side(before, hinge_of(3.0, 2.1, 5.0))


def test_smooth_operations_have_no_sides() -> None:
    assert sides(lambda x: (x.exp() @ x).sum().log1p(), [1.0, 2.0, 3.0, 4.0]) == []
