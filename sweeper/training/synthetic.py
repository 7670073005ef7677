"""CIFAR-shaped images from a seed, for experiments that can't or shouldn't download any.

An image is an object (a shape, filled with a texture) before a cloudy backdrop. A class is a tendency of
shape, texture, colours and light, and other classes' images may look like it. As in photographs, most of the
variance is smooth light that says little of the class, and much of what does say it is fine and faint, so
that plain SGD falls behind here as it does on CIFAR-10.

Measured with VERSION 1: test accuracy, mean ± sd over n seeds, after 4 epochs of lenet and 5 of cnn on 4,992
training images in batches of 64, and in brackets CIFAR-10's at its own best lr:

    arm           lenet: lr, accuracy, n                   cnn: lr, accuracy, n
    sgd           0.05   0.360 ± 0.020, 5  [0.05   0.379]  0.03   0.465 ± 0.011, 2  [0.03   0.463]
    momentum 0.9  0.01   0.412 ± 0.014, 2  [0.01   0.407]  0.01   0.551 ± 0.015, 2  [0.01   0.509]
    adagrad       0.01   0.433 ± 0.003, 2  [0.01   0.428]  0.01   0.480 ± 0.022, 2  [0.01   0.500]
    rmsprop 0.99  0.001  0.426 ± 0.022, 2  [0.001  0.428]  0.001  0.504 ± 0.009, 2  [0.001  0.502]
    adam          0.002  0.447 ± 0.025, 5  [0.002  0.431]  0.002  0.550 ± 0.019, 5  [0.001  0.511]

The linear model reaches 0.333 ± 0.008 (n = 5, adam, lr 0.001, 4 epochs), on CIFAR-10 about 0.36.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sweeper.training.cifar import Rows

VERSION = 1
"""Raised whenever the images change: it belongs to the data's identity."""

Floats = npt.NDArray[np.float32]
Depths = npt.NDArray[np.floating]
Labels = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]

SIDE = 32
CHUNK = 1_000
"""Images drawn at a time, which bounds the memory. The images depend on it."""


class Look(NamedTuple):
    """What a class's images tend to look like.

    `shape` and `texture` are keys of `_SHAPES` and `_TEXTURES`. `paint` and `backdrop` are hues of the object
    and of what is behind it, in turns of the colour circle. `light` is how much brighter the object is than
    the backdrop, `horizon` how much brighter the image's top is than its middle, both in grey levels.
    """

    shape: str
    texture: str
    paint: float
    backdrop: float
    light: float
    horizon: float


LOOKS = (
    Look("disc", "stripes", 0.05, 0.55, 36, 21),
    Look("disc", "checks", 0.35, 0.90, -36, -6),
    Look("square", "stripes", 0.65, 0.10, -24, 6),
    Look("square", "speckle", 0.15, 0.40, 36, -15),
    Look("triangle", "checks", 0.85, 0.60, 24, 21),
    Look("triangle", "plain", 0.50, 0.25, -36, 0),
    Look("ring", "speckle", 0.70, 0.75, 24, -21),
    Look("ring", "plain", 0.25, 0.05, -36, 12),
    Look("cross", "bars", 0.95, 0.45, 36, 0),
    Look("bar", "bars", 0.45, 0.85, -24, -12),
)
"""The classes, by label. No shape, texture or colour alone tells a class."""

FAITH = 0.85
"""The share of images that have their own class's shape, and, drawn apart, texture; the rest have any's."""

GREY_LEVELS = (126, 123, 114)
"""The middle red, green and blue: CIFAR-10's means."""


def generate(n_train: int, n_test: int, seed: int) -> tuple[Rows, Rows]:
    """Draw `n_train` training and `n_test` test images, each in CIFAR-10's binary layout.

    Shapes (n_train, 3073) and (n_test, 3073), uint8: a label in 0..9, then 3,072 pixels, channel first and
    row-major. In each part the classes' sizes differ by one at most, and the rows' order is random. The same
    arguments give the same bytes on the same machine; another processor may round a pixel otherwise.
    """
    train, test = np.random.default_rng(seed).spawn(2)
    return _rows(n_train, train), _rows(n_test, test)


def _rows(n: int, g: np.random.Generator) -> Rows:
    rows = np.empty((n, 1 + 3 * SIDE * SIDE), dtype=np.uint8)
    rows[:, 0] = g.permutation(np.arange(n) % len(LOOKS))
    for start in range(0, n, CHUNK):
        part = rows[start : start + CHUNK]
        part[:, 1:] = _draw(part[:, 0], g).reshape(len(part), -1)
    return rows


def _draw(labels: Labels, g: np.random.Generator) -> Pixels:
    """Images of the given labels, shape (n, 3, 32, 32), uint8. In what follows n is always len(labels)."""
    n = len(labels)
    clouds, behind = _backdrop(labels, g)
    texture, paint = _filling(labels, g)
    mask = _mask(labels, g)
    grey = clouds + mask * (texture - 0.5 * clouds)  # half of the clouds' light falls on the object, too
    image = grey[:, None] + behind + mask[:, None] * (paint - behind)
    image *= np.exp(_normal(0.12, 0.15, (n, 1, 1, 1), g))
    image += _normal(0, 26, (n, 1, 1, 1), g)
    warmth, green = _clouds(2 * n, 11, g).reshape(2, n, SIDE, SIDE)
    image[:, 0] += warmth
    image[:, 1] += green
    image[:, 2] -= warmth
    image += _normal(0, 8, image.shape, g)
    image += np.array(GREY_LEVELS, dtype=np.float32)[:, None, None]
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _normal(mean: float, deviation: float, shape: tuple[int, ...], g: np.random.Generator) -> Floats:
    return np.float32(mean) + np.float32(deviation) * g.standard_normal(shape, dtype=np.float32)


def _tendency(key: str, labels: Labels) -> Floats:
    """A number of each image's look, shape (n, 1, 1, 1)."""
    return np.array([getattr(look, key) for look in LOOKS], dtype=np.float32)[labels].reshape(-1, 1, 1, 1)


def _backdrop(labels: Labels, g: np.random.Generator) -> tuple[Floats, Floats]:
    """Clouds over a horizon, in grey levels, shape (n, 32, 32), and their colour, shape (n, 3, 1, 1)."""
    contrast = np.exp(_normal(0, 0.35, (len(labels), 1, 1), g))
    slope = np.linspace(1, -1, SIDE, dtype=np.float32)[:, None]
    clouds = contrast * _clouds(len(labels), 58, g) + slope * _tendency("horizon", labels)[:, 0]
    return clouds, _colour(_tendency("backdrop", labels), 0.22, 18, g)


def _clouds(n: int, strength: float, g: np.random.Generator) -> Floats:
    """Smooth fields, shape (n, 32, 32): cosines, weaker the higher their frequency, as in photographs."""
    k = np.arange(20, dtype=np.float32)
    cosines = np.cos(np.pi * (np.arange(SIDE, dtype=np.float32)[:, None] + 0.5) * k / SIDE)
    amplitude = strength / (1 + np.hypot(k, k[:, None])) ** np.float32(1.4)
    amplitude[0, 0] = 0.2 * strength  # how bright an image is as a whole is drawn elsewhere
    fields: Floats = cosines @ (amplitude * _normal(0, 1, (n, 20, 20), g)) @ cosines.T
    return fields


def _colour(hue: Floats, spread: float, saturation: float, g: np.random.Generator) -> Floats:
    """Colours near the hues, in grey levels from grey, shape (n, 3, 1, 1)."""
    turns = hue + _normal(0, spread, hue.shape, g) + np.arange(3, dtype=np.float32).reshape(3, 1, 1) / 3
    strength = saturation * (0.3 + 1.4 * g.random(hue.shape, dtype=np.float32))
    return strength * np.cos(2 * np.pi * turns)


def _filling(labels: Labels, g: np.random.Generator) -> tuple[Floats, Floats]:
    """The object's texture, in grey levels, shape (n, 32, 32), and its colour, shape (n, 3, 1, 1)."""
    contrast = 27 * np.exp(_normal(0, 0.4, (len(labels), 1, 1), g))
    light = _tendency("light", labels)
    paint = _colour(_tendency("paint", labels), 0.18, 24, g) + light + _normal(0, 36, light.shape, g)
    return contrast * _texture(_resembled(labels, g), g), paint


def _resembled(labels: Labels, g: np.random.Generator) -> Labels:
    """The class that each image takes something from: mostly its own."""
    any_class = g.integers(0, len(LOOKS), len(labels), dtype=np.uint8)
    return np.where(g.random(len(labels)) < FAITH, labels, any_class)


def _texture(labels: Labels, g: np.random.Generator) -> Floats:
    texture = np.empty((len(labels), SIDE, SIDE), dtype=np.float32)
    for name, draw in _TEXTURES.items():
        chosen = np.array([look.texture == name for look in LOOKS])[labels]
        texture[chosen] = draw(int(chosen.sum()), g)
    return texture


def _wave(angle: Floats, g: np.random.Generator) -> Floats:
    """Sine waves along the angles, which have shape (n, 1, 1), with periods of 4 to 8 pixels."""
    frequency = 2 * np.pi / (4 + 4 * g.random(angle.shape, dtype=np.float32))
    phase = 2 * np.pi * g.random(angle.shape, dtype=np.float32)
    grid = np.arange(SIDE, dtype=np.float32)
    return np.sin(frequency * (np.cos(angle) * grid + np.sin(angle) * grid[:, None]) + phase)


def _checks(n: int, g: np.random.Generator) -> Floats:
    angle = np.pi * g.random((n, 1, 1), dtype=np.float32)
    return 1.3 * _wave(angle, g) * _wave(angle + np.float32(np.pi / 2), g)


_TEXTURES: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "stripes": lambda n, g: _wave(_normal(np.pi / 2, 0.4, (n, 1, 1), g), g),
    "bars": lambda n, g: _wave(_normal(0, 0.4, (n, 1, 1), g), g),
    "checks": _checks,
    "speckle": lambda n, g: _normal(0, 0.8, (n, SIDE, SIDE), g),
    "plain": lambda n, g: np.zeros((n, SIDE, SIDE), dtype=np.float32),
}


def _mask(labels: Labels, g: np.random.Generator) -> Floats:
    """How much of each pixel the object, randomly placed, covers: 0..1, shape (n, 32, 32)."""
    u, v, size = _placed(len(labels), g)
    resembled = _resembled(labels, g)
    depth = np.empty_like(u)
    for name, inside in _SHAPES.items():
        chosen = np.array([look.shape == name for look in LOOKS])[resembled]
        depth[chosen] = inside(u[chosen], v[chosen])
    covered: Floats = np.clip(depth * size / 1.5 + 0.5, 0, 1)  # an edge is 1.5 pixels wide
    return covered


def _placed(n: int, g: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Each pixel's place (u, v) in its object's own coordinates, and the object's size in pixels."""
    size = 7 + 6 * g.random((n, 1, 1), dtype=np.float32)
    angle = _normal(0, 0.35, (n, 1, 1), g)
    x, y = _normal((SIDE - 1) / 2, 3.5, (2, n, 1, 1), g)
    grid = np.arange(SIDE, dtype=np.float32)
    right, down = (grid - x) / size, (grid[:, None] - y) / size
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * right + sin * down, cos * down - sin * right, size


def _cross(u: Floats, v: Floats) -> Floats:
    u, v = np.abs(u), np.abs(v)
    cross: Floats = np.maximum(np.minimum(0.3 - u, 1 - v), np.minimum(1 - u, 0.3 - v))
    return cross


_SHAPES: dict[str, Callable[[Floats, Floats], Depths]] = {
    "disc": lambda u, v: 0.9 - np.hypot(u, v),
    "square": lambda u, v: 0.8 - np.maximum(np.abs(u), np.abs(v)),
    "triangle": lambda u, v: np.minimum(0.55 - v, 0.5 + 0.5 * v - 0.87 * np.abs(u)),
    "ring": lambda u, v: 0.22 - np.abs(np.hypot(u, v) - 0.75),
    "cross": _cross,
    "bar": lambda u, v: np.minimum(1.1 - np.abs(u), 0.4 - np.abs(v)),
}
"""How deep inside the shape a point lies, in units of its size: negative outside."""
