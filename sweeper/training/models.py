"""The networks: small models for CIFAR-shaped images, each from an explicit generator.

Every network starts near chance: its output layer is drawn from N(0, 0.01) and all biases are 0, so that the
first loss is close to ln C whatever the other layers' initialization is.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from sweeper.experiment.sections import Model

IMAGE_CHANNELS = 3


def build(model: Model, n_classes: int, init: str, generator: torch.Generator) -> nn.Sequential:
    """The network that `model` describes, for images of shape (N, 3, 32, 32), giving scores (N, n_classes).

    `init` names the distribution of the weights below the output layer: `kaiming` (He et al. 2015, normal,
    fan-in, for ReLU), `xavier` (Glorot and Bengio 2010, normal) or `normal` (standard deviation 0.01).
    """
    network = _BUILDERS[model.name](model, n_classes)
    _initialize(network, init, generator)
    return network


def parameter_count(network: nn.Module) -> int:
    """How many trained numbers the network has."""
    return sum(parameter.numel() for parameter in network.parameters())


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
        *_dense((16 * 5 * 5, 120, 84, n_classes)),
    )


def _cnn(model: Model, n_classes: int) -> nn.Sequential:
    """A 3x3 convolution, ReLU and 2x2 max pooling for each entry of `channels`, then one linear layer."""
    layers: list[nn.Module] = []
    widths = (IMAGE_CHANNELS, *model.channels)
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), *_pooled()]
    side = model.input_size // 2 ** len(model.channels)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(model.channels[-1] * side * side, n_classes))


_BUILDERS: dict[str, Callable[[Model, int], nn.Sequential]] = {
    "linear": _linear,
    "mlp": _mlp,
    "lenet": _lenet,
    "cnn": _cnn,
}


def _pixels(model: Model) -> int:
    return IMAGE_CHANNELS * model.input_size**2


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
