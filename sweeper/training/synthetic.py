"""CIFAR-shaped images from a seed, for experiments without a download."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sweeper.training.cifar10 import Rows

VERSION = 1
"""Raised whenever the images change: it belongs to the data's identity."""

Floats = npt.NDArray[np.float32]

SIDE = 32
CHUNK = 1_000
WAVES = 20


class Look(NamedTuple):
    """What images of a class tend to look like.

    `shape` and `texture` are names of `_SHAPES` and `_TEXTURES`. Hues are angles on the colour circle in
    turns; `light` is how much brighter the object is than its background, `horizon` how much brighter the
    image's top is than its bottom, both in grey levels.
    """

    shape: str
    texture: str
    hue: float
    backdrop: float
    light: float
    horizon: float


LOOKS = (
    Look("disc", "stripes", 0.05, 0.55, 45, 35),
    Look("disc", "checks", 0.35, 0.90, -45, -10),
    Look("square", "stripes", 0.65, 0.10, -30, 10),
    Look("square", "speckle", 0.15, 0.40, 45, -25),
    Look("triangle", "checks", 0.85, 0.60, 30, 35),
    Look("triangle", "plain", 0.50, 0.25, -45, 0),
    Look("ring", "speckle", 0.70, 0.75, 30, -35),
    Look("ring", "plain", 0.25, 0.05, -45, 20),
    Look("cross", "bars", 0.95, 0.45, 45, 0),
    Look("bar", "bars", 0.45, 0.85, -30, -20),
)

FAITH = 0.75
"""The share of images whose shape is their class's; the rest draw any class's shape. Likewise textures."""


def generate(n_train: int, n_test: int, seed: int) -> tuple[Rows, Rows]:
    """Draw two parts."""
    train, test = np.random.default_rng(seed).spawn(2)
    return _rows(n_train, train), _rows(n_test, test)


def _rows(n: int, generator: np.random.Generator) -> Rows:
    rows = np.empty((n, 1 + 3 * SIDE * SIDE), dtype=np.uint8)
    rows[:, 0] = generator.permutation(np.arange(n) % len(LOOKS))
    for start in range(0, n, CHUNK):
        part = rows[start : start + CHUNK]
        images = _draw(part[:, 0], generator)
        part[:, 1:] = images.reshape(len(part), -1)
    return rows


def _draw(labels: npt.NDArray[np.uint8], g: np.random.Generator) -> npt.NDArray[np.uint8]:
    n = len(labels)
    hue, backdrop, light, horizon = (
        np.array([getattr(look, key) for look in LOOKS], dtype=np.float32)[labels]
        for key in ("hue", "backdrop", "light", "horizon")
    )
    u, v, size = _placed(n, g)
    mask = _mask(_unfaithful(labels, g), u, v, size)
    texture = _texture(_unfaithful(labels, g), g)
    mood = g.normal(0, 1, (n, 3)).astype(np.float32)

    back = _colour(backdrop, 18, 0.22, g)  # (n, 3)
    front = _colour(hue, 24, 0.18, g) + (light + 36 * mood[:, 0])[:, None]
    grey = _cloud(n, g) * np.exp(0.35 * mood[:, 1])[:, None, None] * 58
    grey += (horizon + 0)[:, None, None] * np.linspace(0.8, -0.8, SIDE, dtype=np.float32)[:, None]
    grey *= 1 - 0.5 * mask
    grey += mask * texture * np.exp(0.4 * mood[:, 2] + 3.3)[:, None, None]
    brightness = g.normal(0, 20, n).astype(np.float32)
    grey += brightness[:, None, None]
    image = grey[:, None] + back[:, :, None, None] + mask[:, None] * (front - back)[:, :, None, None]
    tint = _cloud(2 * n, g).reshape(n, 2, SIDE, SIDE) * 11
    image[:, 0] += tint[:, 0]
    image[:, 2] -= tint[:, 0] - tint[:, 1]
    image += 8 * g.standard_normal(image.shape, dtype=np.float32)
    image += np.array([126, 123, 114], dtype=np.float32)[:, None, None]
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _unfaithful(labels: npt.NDArray[np.uint8], g: np.random.Generator) -> npt.NDArray[np.uint8]:
    other = g.integers(0, len(LOOKS), len(labels), dtype=np.uint8)
    return np.where(g.random(len(labels)) < FAITH, labels, other)


def _colour(hue: Floats, saturation: float, spread: float, g: np.random.Generator) -> Floats:
    n = len(hue)
    angle = 2 * np.pi * (hue + g.normal(0, spread, n))[:, None] + 2 * np.pi * np.arange(3) / 3
    strength = saturation * g.uniform(0.3, 1.7, (n, 1))
    return (strength * np.cos(angle)).astype(np.float32)


def _cloud(n: int, g: np.random.Generator) -> Floats:
    """Smooth random fields, (n, 32, 32): cosines whose amplitude falls with their frequency."""
    k = np.arange(WAVES, dtype=np.float32)
    basis = np.cos(np.pi * (np.arange(SIDE, dtype=np.float32)[:, None] + 0.5) * k / SIDE)
    fall = 1 / (1 + np.hypot(k, k[:, None])) ** 1.4
    fall[0, 0] = 0.2
    return basis @ (fall * g.standard_normal((n, WAVES, WAVES), dtype=np.float32)) @ basis.T


def _placed(n: int, g: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Coordinates."""
    size = g.uniform(7, 13, (n, 1, 1)).astype(np.float32)
    angle = g.normal(0, 0.35, (n, 1, 1)).astype(np.float32)
    x0, y0 = g.normal(15.5, 3.5, (2, n, 1, 1)).astype(np.float32)
    grid = np.arange(SIDE, dtype=np.float32)
    dx, dy = (grid - x0) / size, (grid[:, None] - y0) / size
    return np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx, size


def _cross(u: Floats, v: Floats) -> Floats:
    u, v = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(0.3 - u, 1.0 - v), np.minimum(1.0 - u, 0.3 - v))


_SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "disc": lambda u, v: 0.9 - np.hypot(u, v),
    "square": lambda u, v: 0.8 - np.maximum(np.abs(u), np.abs(v)),
    "triangle": lambda u, v: np.minimum(0.55 - v, 0.5 + 0.5 * v - 0.87 * np.abs(u)),
    "ring": lambda u, v: 0.22 - np.abs(np.hypot(u, v) - 0.75),
    "cross": _cross,
    "bar": lambda u, v: np.minimum(1.1 - np.abs(u), 0.4 - np.abs(v)),
}


def _mask(labels: npt.NDArray[np.uint8], u: Floats, v: Floats, size: Floats) -> Floats:
    inside = np.empty_like(u)
    for name, depth in _SHAPES.items():
        chosen = np.array([look.shape == name for look in LOOKS])[labels]
        inside[chosen] = depth(u[chosen], v[chosen])
    return np.clip(inside * size / 1.5 + 0.5, 0, 1)


def _wave(angle: Floats, g: np.random.Generator) -> Floats:
    n = len(angle)
    period = g.uniform(4, 8, n).astype(np.float32)
    k = (2 * np.pi / period)[:, None]
    grid = np.arange(SIDE, dtype=np.float32)
    along = k * np.cos(angle)[:, None] * grid
    down = k * np.sin(angle)[:, None] * grid + g.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32)
    return np.sin(along[:, None, :] + down[:, :, None])


def _stripes(n: int, g: np.random.Generator) -> Floats:
    return _wave(g.normal(np.pi / 2, 0.4, n).astype(np.float32), g)


def _bars(n: int, g: np.random.Generator) -> Floats:
    return _wave(g.normal(0, 0.4, n).astype(np.float32), g)


def _checks(n: int, g: np.random.Generator) -> Floats:
    angle = g.uniform(0, np.pi, n).astype(np.float32)
    return 1.3 * _wave(angle, g) * _wave(angle + np.float32(np.pi / 2), g)


def _speckle(n: int, g: np.random.Generator) -> Floats:
    return 0.8 * g.standard_normal((n, SIDE, SIDE), dtype=np.float32)


def _plain(n: int, g: np.random.Generator) -> Floats:
    return np.zeros((n, SIDE, SIDE), dtype=np.float32)


_TEXTURES: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "stripes": _stripes,
    "bars": _bars,
    "checks": _checks,
    "speckle": _speckle,
    "plain": _plain,
}


def _texture(labels: npt.NDArray[np.uint8], g: np.random.Generator) -> Floats:
    texture = np.empty((len(labels), SIDE, SIDE), dtype=np.float32)
    for name, draw in _TEXTURES.items():
        chosen = np.array([look.texture == name for look in LOOKS])[labels]
        texture[chosen] = draw(int(chosen.sum()), g)
    return texture
