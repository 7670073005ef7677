"""What is known of the networks without building them: the images they take, the parameters they have.

Pure arithmetic, so that an experiment can be judged before torch is imported. `training.models` builds the
networks. A side is the height and the width, in pixels, of square images or feature maps.
"""

import itertools
from collections.abc import Sequence

NAMES = ("linear", "mlp", "lenet", "cnn", "3c3d", "resnet8")
"""Every model's name."""

IMAGE_CHANNELS = 3


def parameter_count(
    name: str, *, n_classes: int, input_size: int, hidden: Sequence[int], channels: Sequence[int]
) -> int:
    """How many numbers the model called `name` trains, on images with sides of `input_size`.

    `hidden` matters to `mlp` only, `channels` to `cnn` only. `ValueError` where the images are too small.
    """
    side = last_side(name, input_size=input_size, channels=channels)
    if side < 1:
        raise ValueError(f"{name} can't take images of {input_size}x{input_size} pixels")
    match name:
        case "linear":
            return _dense(IMAGE_CHANNELS * side**2, n_classes)
        case "mlp":
            return _dense(IMAGE_CHANNELS * side**2, *hidden, n_classes)
        case "lenet":
            return _convolutions(5, IMAGE_CHANNELS, 6, 16) + _dense(16 * side**2, 120, 84, n_classes)
        case "cnn":
            return _convolutions(3, IMAGE_CHANNELS, *channels) + _dense(channels[-1] * side**2, n_classes)
        case "3c3d":
            convolutions = _convolutions(5, IMAGE_CHANNELS, 64) + _convolutions(3, 64, 96, 128)
            return convolutions + _dense(128 * side**2, 512, 256, n_classes)
        case "resnet8":
            # A norm's shifts take the place of the convolution's biases, its scales come on top.
            normed = _convolutions(3, IMAGE_CHANNELS, 16, 16, 16, 32, 32, 64, 64) + 3 * 16 + 2 * 32 + 2 * 64
            shortcuts = 16 * 32 + 32 * 64
            return normed + shortcuts + _dense(64, n_classes)
    raise KeyError(name)


def fits(name: str, *, input_size: int, channels: Sequence[int]) -> bool:
    """Whether the model called `name` can take images with sides of `input_size`."""
    return last_side(name, input_size=input_size, channels=channels) >= 1


def smallest_input(name: str, *, channels: Sequence[int]) -> int:
    """The smallest side of the images that the model called `name` can take."""
    return next(side for side in itertools.count(1) if fits(name, input_size=side, channels=channels))


def last_side(name: str, *, input_size: int, channels: Sequence[int]) -> int:
    """The side of the feature maps that the model's linear layers see (before `resnet8`'s average).

    Below 1 where the images are too small.
    """
    match name:
        case "linear" | "mlp":
            return input_size
        case "lenet":  # twice a 5x5 convolution and 2x2 pooling
            return ((input_size - 4) // 2 - 4) // 2
        case "cnn":  # padded 3x3 convolutions, 2x2 pooling
            return input_size >> len(channels)
        case "3c3d":  # 5x5, 3x3 and a padded 3x3; 3x3 pooling with stride 2 in ceil mode halves, rounded down
            return ((input_size - 4) // 2 - 2) // 2 // 2
        case "resnet8":  # two of its padded convolutions have stride 2
            return -(-input_size // 4)
    raise KeyError(name)


def _dense(*sizes: int) -> int:
    """Weights and biases of linear layers from each size to the next."""
    return sum(n_in * n_out + n_out for n_in, n_out in itertools.pairwise(sizes))


def _convolutions(kernel: int, *channels: int) -> int:
    """Weights and biases of convolutions from each number of channels to the next."""
    return sum(n_in * n_out * kernel**2 + n_out for n_in, n_out in itertools.pairwise(channels))
