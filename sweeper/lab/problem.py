"""What a gradient is checked on: a network, images and labels, all drawn from one seed, in float64."""

from dataclasses import dataclass

import torch
from torch import nn

from sweeper.experiment.sections import Model
from sweeper.training import models

N_CLASSES = 10
N_IMAGES = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A network with images (N, 3, S, S) and labels (N,)."""

    network: nn.Sequential
    pixels: torch.Tensor
    labels: torch.Tensor


def draw(model: Model, seed: int) -> Problem:
    """The network of `model` at a generic point, three images of normal noise, and their labels.

    Training starts at a special point: a tiny output layer, which makes all gradients below it tiny, and
    biases of 0, which put the ReLUs over dark regions exactly on their kinks. Here no layer is special:
    weights are N(0, 2 / fan-in) in the output layer too, biases N(0, 0.01) and norms' scales N(1, 0.01)
    (variances).
    """
    generator = torch.Generator().manual_seed(seed)
    network = models.build(model, N_CLASSES, "kaiming", generator).double()
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
            else:
                is_scale = isinstance(module, nn.GroupNorm) and name == "weight"
                nn.init.normal_(parameter, mean=float(is_scale), std=0.1, generator=generator)
    shape = (N_IMAGES, 3, model.input_size, model.input_size)
    return Problem(
        network=network,
        pixels=torch.randn(shape, dtype=torch.float64, generator=generator),
        labels=torch.randint(N_CLASSES, (N_IMAGES,), generator=generator),
    )
