"""The losses on which the landscape page lets the update rules walk.

Each is a function of two weights (x, y) with its gradient and Hessian written out. All are scaled so that the
largest eigenvalue of the Hessian at the lowest minimum is 1: the same learning rates work on all of them, and
the limits of stability, 2/λmax for SGD, are the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Point = tuple[float, float]

CONDITION_NUMBERS = (1, 2, 5, 10, 20, 50, 100)
"""Of the quadratics' Hessians: their largest eigenvalue over their smallest."""


@dataclass(frozen=True)
class Surface:
    """A loss of two weights.

    `value`, `gradient` and `hessian` take points of shape (..., 2) and give (...), (..., 2) and (..., 2, 2).
    `bounds` are the map's ((x low, x high), (y low, y high)); `minima` begin with the lowest. `noise` is the
    standard deviation of the gradient noise, along each axis, that stands for small minibatches.
    """

    key: str
    title: str
    formula: str
    value: Callable[[Vector], Vector]
    gradient: Callable[[Vector], Vector]
    hessian: Callable[[Vector], Vector]
    start: Point
    bounds: tuple[Point, Point]
    minima: tuple[Point, ...]
    saddles: tuple[Point, ...] = ()
    condition: int | None = None
    """The condition number, of a quadratic."""
    noise: float = 0.1
    relief_power: float = 0.5
    """The map's bands are equally spaced in the loss to this power."""

    def landmarks(self) -> tuple[tuple[str, Point], ...]:
        """The points with zero gradient, each with what a reader calls it."""
        poor = [self.excess(np.array(point)) > 1e-9 for point in self.minima]
        names = ["poor minimum" if is_poor else "minimum" for is_poor in poor]
        if any(poor):
            names[0] = "lowest minimum"
        return (*zip(names, self.minima, strict=True), *(("saddle", point) for point in self.saddles))

    def excess(self, w: Vector) -> Vector:
        """How far the loss lies above its lowest value, of shape (...)."""
        # max: rounding can put a point a hair below the minimum
        return np.maximum(self.value(w) - self.value(np.array(self.minima[0])), 0.0)


def _matrix(xx: Vector, xy: Vector, yy: Vector) -> Vector:
    return np.stack([np.stack([xx, xy], axis=-1), np.stack([xy, yy], axis=-1)], axis=-2)


def quadratic(condition: int) -> Surface:
    """(x²/κ + y²)/2: steep along y, shallow along x; κ is the condition number."""
    curvature = np.array([1 / condition, 1.0])
    return Surface(
        key=f"quadratic_{condition}",
        title="Ill-conditioned quadratic",
        formula="L = (x²/κ + y²) / 2",
        value=lambda w: (curvature * w * w).sum(-1) / 2,
        gradient=lambda w: curvature * w,
        hessian=lambda w: np.broadcast_to(np.diag(curvature), (*w.shape[:-1], 2, 2)),
        start=(-4.0, 2.0),
        bounds=((-5.0, 5.0), (-3.0, 3.0)),
        minima=((0.0, 0.0),),
        condition=condition,
    )


def saddle() -> Surface:
    """x²/2 + (y² - 1)²/16: a saddle at the origin, and a minimum on each side of it, at y = ±1."""

    def gradient(w: Vector) -> Vector:
        x, y = w[..., 0], w[..., 1]
        return np.stack([x, (y**3 - y) / 4], axis=-1)

    def hessian(w: Vector) -> Vector:
        y = w[..., 1]
        return _matrix(np.ones_like(y), np.zeros_like(y), (3 * y**2 - 1) / 4)

    return Surface(
        key="saddle",
        title="Saddle",
        formula="L = x²/2 + (y² - 1)²/16",
        value=lambda w: w[..., 0] ** 2 / 2 + (w[..., 1] ** 2 - 1) ** 2 / 16,
        gradient=gradient,
        hessian=hessian,
        start=(-2.0, 0.01),
        bounds=((-2.5, 2.5), (-1.5, 1.5)),
        minima=((0.0, 1.0), (0.0, -1.0)),
        saddles=((0.0, 0.0),),
        noise=0.05,
        relief_power=0.4,
    )


def double_well() -> Surface:
    """(x² - 1)²/10 + x/25 + y²/2: a poor minimum on the right, near the start, a good one on the left."""
    # the roots of the derivative along x, from left to right: the good minimum, the pass, the poor minimum
    good, ridge, poor = sorted(float(root.real) for root in np.roots([0.4, 0.0, -0.4, 0.04]))

    def gradient(w: Vector) -> Vector:
        x, y = w[..., 0], w[..., 1]
        return np.stack([0.4 * (x**3 - x) + 0.04, y], axis=-1)

    def hessian(w: Vector) -> Vector:
        x = w[..., 0]
        return _matrix(0.4 * (3 * x**2 - 1), np.zeros_like(x), np.ones_like(x))

    return Surface(
        key="double_well",
        title="Double well with a poor minimum",
        formula="L = (x² - 1)²/10 + x/25 + y²/2",
        value=lambda w: (w[..., 0] ** 2 - 1) ** 2 / 10 + w[..., 0] / 25 + w[..., 1] ** 2 / 2,
        gradient=gradient,
        hessian=hessian,
        start=(1.9, 1.0),
        bounds=((-2.5, 2.5), (-1.5, 1.5)),
        minima=((good, 0.0), (poor, 0.0)),
        saddles=((ridge, 0.0),),
        noise=0.2,
        relief_power=0.4,
    )


def rosenbrock() -> Surface:
    """((1 - x)² + 10 (y - x²)²)/c: a bent, narrow valley (Rosenbrock 1960, with 10 in place of 100).

    c, about 102, is the largest eigenvalue of the unscaled Hessian at the minimum (1, 1).
    """
    scale = float(1 / np.linalg.eigvalsh(np.array([[82.0, -40.0], [-40.0, 20.0]]))[-1])

    def gradient(w: Vector) -> Vector:
        x, y = w[..., 0], w[..., 1]
        off = y - x**2
        return scale * np.stack([-2 * (1 - x) - 40 * x * off, 20 * off], axis=-1)

    def hessian(w: Vector) -> Vector:
        x, y = w[..., 0], w[..., 1]
        return scale * _matrix(2 - 40 * (y - 3 * x**2), -40 * x, np.full_like(x, 20.0))

    return Surface(
        key="rosenbrock",
        title="Rosenbrock's valley",
        formula="L = ((1 - x)² + 10 (y - x²)²) / 101.6",
        value=lambda w: scale * ((1 - w[..., 0]) ** 2 + 10 * (w[..., 1] - w[..., 0] ** 2) ** 2),
        gradient=gradient,
        hessian=hessian,
        start=(-1.2, 1.0),
        bounds=((-2.5, 2.5), (-1.0, 2.0)),
        minima=((1.0, 1.0),),
        noise=0.02,
        relief_power=0.25,
    )


SURFACES: tuple[Surface, ...] = (
    *(quadratic(condition) for condition in CONDITION_NUMBERS),
    saddle(),
    double_well(),
    rosenbrock(),
)
"""Every loss of the page: the quadratics by condition number, then the others."""
