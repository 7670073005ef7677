import math

import pytest
import torch

from sweeper.lab.numerical import Quotient
from sweeper.lab.verdict import TensorCheck, judge

KINK = Quotient(math.nan, math.nan, math.nan, 0.1)


def judged(pairs: list[tuple[float, float]], kinks: int = 0, h: float = 1e-5) -> TensorCheck:
    """The check of a tensor with these analytic and numerical gradients, where the loss is 1."""
    analytic = torch.tensor([a for a, _ in pairs] + [1.0] * kinks, dtype=torch.float64)
    return judge("w", 10, analytic, [Quotient(n, n, h, 0.1) for _, n in pairs] + [KINK] * kinks, 1.0)


def test_the_error_is_relative_to_the_larger_of_the_two() -> None:
    assert judged([(2.0, 1.0)]).centred_error == pytest.approx(0.5)
    assert judged([(1.0, -1.0)]).centred_error == pytest.approx(2)


def test_a_tiny_gradient_is_held_against_a_hundredth_of_the_tensors_largest() -> None:
    found = judged([(1.0, 1.0), (1e-9, 2e-9)])
    assert found.centred_error == pytest.approx(1e-9 / 1e-2)
    assert found.passed


def test_the_floor_grows_as_the_step_shrinks() -> None:
    assert judged([(1.0, 1.0), (1e-9, 2e-9)], h=1e-6).centred_error == pytest.approx(1e-9 / 1e-1)


def test_round_off_where_every_gradient_is_0_is_no_error() -> None:
    assert judged([(0.0, 1e-11), (0.0, -2e-11)]).passed


def test_a_gradient_that_is_all_0_and_should_not_be_fails() -> None:
    assert judged([(0.0, 0.3), (0.0, -0.1)]).centred_error == pytest.approx(1)


def test_an_error_of_a_millionth_fails() -> None:
    assert judged([(1.0, 1.0 + 0.9e-6)]).passed
    assert not judged([(1.0, 1.0 + 1.1e-6)]).passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_fails(value: float) -> None:
    assert not judged([(1.0, 1.0), (value, 1.0)]).passed


@pytest.mark.parametrize(("kinks", "passed"), [(0, True), (2, True), (3, False)])
def test_less_than_half_of_the_coordinates_judged_fails(kinks: int, passed: bool) -> None:
    found = judged([(1.0, 1.0)] * 2, kinks)
    assert (found.coordinates, found.kinks, found.passed) == (2 + kinks, kinks, passed)


def test_nothing_judged_fails() -> None:
    found = judged([], kinks=2)
    assert math.isnan(found.centred_error)
    assert not found.passed
