"""Walks and maps as 16-bit integers, small enough for one page that works offline.

All walks together are a few million numbers. Sixteen bits are finer than a screen's pixels, and differences
from step to step are small numbers, which gzip shortens to half.
"""

import gzip

import numpy as np
import numpy.typing as npt

from sweeper.lab.surfaces import SURFACES, Surface, Vector
from sweeper.lab.walks import N_STEPS, WALKERS, walks

Packed = npt.NDArray[np.int16]

GONE = -32768
"""Stands in every channel for the steps after a walk has diverged."""

LEVELS_PER_DECADE = 2500
DECADES = 12
"""Losses and step lengths are kept as logarithms, between 1e-12 and 1e12."""

WIDENING = 6.0
"""How many times as wide and high as the map is the box within which positions are kept."""


def box(surface: Surface) -> Vector:
    """The corners (low, high) of the box within which positions are kept, of shape (2, 2)."""
    low, high = np.array(surface.bounds).T
    middle, reach = (low + high) / 2, WIDENING * (high - low) / 2
    return np.stack([middle - reach, middle + reach])


def diverged_at(paths: Vector, surface: Surface) -> npt.NDArray[np.int64]:
    """The step at which each walk leaves the box for good, or N_STEPS + 1 where it is in the box at the end.

    `paths` has shape (settings, N_STEPS + 1, 2). A walk that comes back within the N_STEPS has not diverged.
    """
    low, high = box(surface)
    inside = ((paths >= low) & (paths <= high)).all(-1)
    last_inside = N_STEPS - np.argmax(inside[:, ::-1], axis=1)
    first_outside: npt.NDArray[np.int64] = last_inside + 1
    return first_outside


def pack(paths: Vector, surface: Surface) -> Packed:
    """Walks as 16-bit integers of shape (settings, 4, N_STEPS + 1).

    The four channels are x and y, as 65,535ths of the box, and log10 of the loss above its lowest value and
    of the length of the step that led there, times LEVELS_PER_DECADE. At the step at which a walk diverges,
    its position is where it crosses the edge of the box; after it all is GONE.
    """
    end = diverged_at(paths, surface)
    low, high = box(surface)
    with np.errstate(over="ignore", invalid="ignore"):
        excess = surface.excess(paths)
        length = np.linalg.norm(np.diff(paths, axis=1, prepend=paths[:, :1]), axis=-1)
    positions = _cross_the_edge(paths, end, low, high)
    fractions = np.clip((positions - low) / (high - low), 0, 1)
    channels = np.stack(
        [
            *np.moveaxis(np.rint(fractions * 65534 - 32767), -1, 0),
            _logarithm(excess),
            _logarithm(length),
        ],
        axis=1,
    )
    gone = np.arange(N_STEPS + 1) > end[:, None]
    return np.where(gone[:, None, :] | ~np.isfinite(channels), GONE, channels).astype("<i2")


def _cross_the_edge(paths: Vector, end: npt.NDArray[np.int64], low: Vector, high: Vector) -> Vector:
    """The walks with their first step out of the box cut where it crosses the edge."""
    cut = paths.copy()
    (row,) = np.nonzero(end <= N_STEPS)
    before = paths[row, end[row] - 1]
    step = paths[row, end[row]] - before
    # an axis without a step is never crossed
    room = np.where(step > 0, high - before, before - low)
    share = np.divide(room, np.abs(step), out=np.ones_like(step), where=step != 0).min(-1, keepdims=True)
    cut[row, end[row]] = before + np.minimum(share, 1) * step
    return cut


def _logarithm(values: Vector) -> Vector:
    bounded = np.clip(np.nan_to_num(values, nan=np.inf, posinf=np.inf), 10.0**-DECADES, 10.0**DECADES)
    logarithm: Vector = np.rint(np.log10(bounded) * LEVELS_PER_DECADE)
    return logarithm


def pack_all() -> bytes:
    """Every walk, gzipped: surface by surface, first without noise and then with it, each rule in turn.

    Along the steps it holds differences (modulo 2**16), little-endian: sums of them are what `pack` gives.
    """
    differences = (
        np.diff(pack(walks(surface, walker, noisy=noisy), surface), axis=-1, prepend=np.int16(0))
        for surface in SURFACES
        for noisy in (False, True)
        for walker in WALKERS
    )
    # mtime: the same page for the same version, byte by byte
    return gzip.compress(b"".join(part.astype("<i2").tobytes() for part in differences), mtime=0)


RELIEF_SHAPE = (97, 161)
"""Rows (y, from high to low) and columns (x, from low to high) of a map's grid."""


def relief() -> bytes:
    """The maps of all surfaces: heights from 0 to 65,535, little-endian, of shape (surfaces, *RELIEF_SHAPE).

    Heights are roots of losses, so that bands of equal height show the valleys as well as the slopes.
    """
    return b"".join(_heights(surface).astype("<u2").tobytes() for surface in SURFACES)


def _heights(surface: Surface) -> Vector:
    (left, right), (bottom, top) = surface.bounds
    rows, columns = RELIEF_SHAPE
    x, y = np.meshgrid(np.linspace(left, right, columns), np.linspace(top, bottom, rows))
    excess = surface.excess(np.stack([x, y], axis=-1))
    heights: Vector = np.rint(65535 * (excess / excess.max()) ** surface.relief_power)
    return heights
