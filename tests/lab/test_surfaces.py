"""The losses of the landscape page: their derivatives, their landmarks, their scale."""

from collections.abc import Callable

import numpy as np
import pytest

from sweeper.lab.surfaces import CONDITION_NUMBERS, SURFACES, Surface, Vector, quadratic

EVERY = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.key)


@pytest.fixture
def points() -> Vector:
    return np.random.default_rng(3).uniform(-2, 2, (50, 2))


def centred_difference(function: Callable[[Vector], Vector], w: Vector, h: float = 1e-5) -> Vector:
    """The derivatives of `function` along both weights, on a new last axis."""
    return np.stack([(function(w + h * e) - function(w - h * e)) / (2 * h) for e in np.eye(2)], axis=-1)


@EVERY
def test_the_gradient_is_the_slope_of_the_value(surface: Surface, points: Vector) -> None:
    np.testing.assert_allclose(
        surface.gradient(points), centred_difference(surface.value, points), rtol=1e-6, atol=1e-8
    )


@EVERY
def test_the_hessian_is_the_slope_of_the_gradient(surface: Surface, points: Vector) -> None:
    np.testing.assert_allclose(
        surface.hessian(points), centred_difference(surface.gradient, points), rtol=1e-6, atol=1e-8
    )


@EVERY
def test_minima_are_minima_and_the_first_is_lowest(surface: Surface) -> None:
    for point in surface.minima:
        w = np.array(point)
        np.testing.assert_allclose(surface.gradient(w), 0, atol=1e-9)
        assert np.linalg.eigvalsh(surface.hessian(w)).min() > 0
    values = [float(surface.value(np.array(point))) for point in surface.minima]
    assert values[0] == pytest.approx(min(values))


@EVERY
def test_saddles_curve_up_one_way_and_down_the_other(surface: Surface) -> None:
    for point in surface.saddles:
        w = np.array(point)
        np.testing.assert_allclose(surface.gradient(w), 0, atol=1e-9)
        low, high = np.linalg.eigvalsh(surface.hessian(w))
        assert low < 0 < high


@EVERY
def test_nothing_on_the_map_lies_below_the_lowest_minimum(surface: Surface) -> None:
    (left, right), (bottom, top) = surface.bounds
    grid = np.stack(np.meshgrid(np.linspace(left, right, 201), np.linspace(bottom, top, 121)), axis=-1)
    assert (surface.value(grid) >= surface.value(np.array(surface.minima[0])) - 1e-12).all()


@EVERY
def test_the_largest_curvature_at_the_lowest_minimum_is_1(surface: Surface) -> None:
    eigenvalues = np.linalg.eigvalsh(surface.hessian(np.array(surface.minima[0])))
    assert eigenvalues[-1] == pytest.approx(1.0)


@EVERY
def test_start_and_landmarks_are_on_a_map_of_five_by_three(surface: Surface) -> None:
    (left, right), (bottom, top) = surface.bounds
    for x, y in (surface.start, *surface.minima, *surface.saddles):
        assert left < x < right
        assert bottom < y < top
    assert (right - left) / (top - bottom) == pytest.approx(5 / 3)


@pytest.mark.parametrize("condition", CONDITION_NUMBERS)
def test_a_quadratics_eigenvalues_give_its_condition_number(condition: int) -> None:
    low, high = np.linalg.eigvalsh(quadratic(condition).hessian(np.zeros(2)))
    assert high / low == pytest.approx(condition)


def test_the_double_wells_minima_are_named_apart() -> None:
    (well,) = (surface for surface in SURFACES if surface.key == "double_well")
    assert [name for name, _ in well.landmarks()] == ["lowest minimum", "poor minimum", "saddle"]
