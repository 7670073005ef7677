"""The networks: small models for CIFAR-shaped images, each from an explicit generator.

Every network starts near chance: its output layer is drawn from N(0, 0.01) and all biases are 0, so that the
first loss is close to ln C whatever the other layers' initialization is.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from sweeper import architectures
from sweeper.architectures import IMAGE_CHANNELS
from sweeper.experiment.sections import Model


def build(model: Model, n_classes: int, init: str, generator: torch.Generator) -> nn.Sequential:
    """The network that `model` describes, giving scores (N, n_classes).

    Images have the shape (N, 3, S, S) with S = `model.input_size`, which must be one that the model can take
    (`architectures.fits`). `init` names the distribution of the weights below the output layer: `kaiming` (He
    et al. 2015, normal, fan-in, for ReLU), `xavier` (Glorot and Bengio 2010, normal) or `normal` (standard
    deviation 0.01).
    """
    network = _BUILDERS[model.name](model, n_classes)
    _initialize(network, init, generator)
    return network


def _dense(sizes: Sequence[int]) -> list[nn.Module]:
    """Linear layers with a ReLU between any two."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def _pooled() -> list[nn.Module]:
    """2x2 max pooling and ReLU. In either order they give the same; this one has a quarter of the work."""
    return [nn.MaxPool2d(2), nn.ReLU()]


def _linear(model: Model, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *_dense((_pixels(model), n_classes)))


def _mlp(model: Model, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *_dense((_pixels(model), *model.hidden, n_classes)))


def _lenet(model: Model, n_classes: int) -> nn.Sequential:
    """LeNet-5 (LeCun et al. 1998) for colour images, with ReLU and max pooling: 62,006 parameters."""
    return nn.Sequential(
        nn.Conv2d(IMAGE_CHANNELS, 6, kernel_size=5),
        *_pooled(),
        nn.Conv2d(6, 16, kernel_size=5),
        *_pooled(),
        nn.Flatten(),
        *_dense((16 * _last_side(model) ** 2, 120, 84, n_classes)),
    )


def _cnn(model: Model, n_classes: int) -> nn.Sequential:
    """A 3x3 convolution, ReLU and 2x2 max pooling for each entry of `channels`, then one linear layer."""
    layers: list[nn.Module] = []
    widths = (IMAGE_CHANNELS, *model.channels)
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), *_pooled()]
    n_features = model.channels[-1] * _last_side(model) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_features, n_classes))


def _3c3d(model: Model, n_classes: int) -> nn.Sequential:
    """The network of DeepOBS (Schneider, Balles and Hennig 2019): 895,210 parameters."""
    return nn.Sequential(
        nn.Conv2d(IMAGE_CHANNELS, 64, kernel_size=5),
        *_pooled_with_overlap(),
        nn.Conv2d(64, 96, kernel_size=3),
        *_pooled_with_overlap(),
        nn.Conv2d(96, 128, kernel_size=3, padding=1),
        *_pooled_with_overlap(),
        nn.Flatten(),
        *_dense((128 * _last_side(model) ** 2, 512, 256, n_classes)),
    )


def _pooled_with_overlap() -> list[nn.Module]:
    """3x3 max pooling with stride 2, and ReLU.

    Ceil mode gives TensorFlow's "same" padding wherever the side is even: one more column on the right.
    """
    return [nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.ReLU()]


def _resnet8(model: Model, n_classes: int) -> nn.Sequential:
    """The ResNet-8 of MLPerf Tiny (Banbury et al. 2021) with group norms: 77,850 parameters.

    Batch norm would make a sample's loss depend on the other samples, and full-batch gradients computed in
    chunks would no longer add up. Biases in front of or beside a norm's shift are left out.
    """
    return nn.Sequential(
        nn.Conv2d(IMAGE_CHANNELS, 16, kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, 16),
        nn.ReLU(),
        Block(16, 16, stride=1),
        Block(16, 32, stride=2),
        Block(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, n_classes),
    )


_GROUPS = 8


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut around them (He et al. 2016, the basic block).

    Takes (N, n_in, S, S) to (N, n_out, ⌈S/stride⌉, ⌈S/stride⌉); where these shapes differ, the shortcut is a
    1x1 convolution.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, kernel_size=1, stride=stride, bias=False)
        self.relu = nn.ReLU()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """The residual added to the shortcut, and ReLU."""
        total: torch.Tensor = self.relu(self.residual(maps) + self.shortcut(maps))
        return total


_BUILDERS: dict[str, Callable[[Model, int], nn.Sequential]] = {
    "linear": _linear,
    "mlp": _mlp,
    "lenet": _lenet,
    "cnn": _cnn,
    "3c3d": _3c3d,
    "resnet8": _resnet8,
}


def _pixels(model: Model) -> int:
    return IMAGE_CHANNELS * model.input_size**2


def _last_side(model: Model) -> int:
    return architectures.last_side(model.name, input_size=model.input_size, channels=model.channels)


_INITS: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "kaiming": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "xavier": lambda w, g: nn.init.xavier_normal_(w, generator=g),
    "normal": lambda w, g: nn.init.normal_(w, std=0.01, generator=g),
}


def _initialize(network: nn.Sequential, init: str, generator: torch.Generator) -> None:
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in layers[:-1]:
        _INITS[init](layer.weight, generator)
    nn.init.normal_(layers[-1].weight, std=0.01, generator=generator)
    for layer in layers:
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
