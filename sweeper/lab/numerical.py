"""Numerical gradients: difference quotients of losses, one number of a network at a time.

    forward   (f(w + h) - f(w)) / h              its error is about h f''/2
    centred   (f(w + h) - f(w - h)) / 2h         its error is about h² f'''/6

Both also carry the loss's round-off over h, which grows as h shrinks. So h = 1e-5, near the best for centred
ones (the cube root of 1e-16), and a smaller one only where a kink lies within the first.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from sweeper.lab.kinks import Kinks, same_side
from sweeper.training.losses import Loss

STEPS = (1e-5, 3e-6, 1e-6)
"""The h that are tried, one after the other, until no kink lies between w - h and w + h."""


@dataclass(frozen=True, slots=True)
class Quotient:
    """One number's difference quotients and their step; NaN where even the smallest step crosses a kink.

    `seconds` is what it took, all steps that were tried included.
    """

    forward: float
    centred: float
    h: float
    seconds: float

    @property
    def is_smooth(self) -> bool:
        """Whether no kink lies between w - h and w + h."""
        return not math.isnan(self.h)


@dataclass(frozen=True, slots=True)
class _Point:
    loss: float
    sides: list[torch.Tensor]
    seconds: float


class Probe:
    """Losses of one layer's parameters: the layers before it have run once, those from it on run each time.

    `tail` is the layer and all behind it, `inputs` what reaches it. Every loss is computed from the same
    scores; the pass is counted in the seconds of each, as if each had been alone.
    """

    def __init__(
        self, tail: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, losses: Mapping[str, Loss]
    ) -> None:
        self._tail = tail
        self._inputs = inputs
        self._labels = labels
        self._losses = losses
        self._here = self._evaluate(losses)
        self.pass_s = {name: self._plain_pass_s(loss) for name, loss in losses.items()}
        """Seconds of one evaluation of each loss that nobody watches: the least of five."""

    def quotients(self, parameter: torch.Tensor, index: int) -> dict[str, Quotient]:
        """Each loss's difference quotients for the number at the flat `index` of `parameter`."""
        numbers = parameter.detach().view(-1)
        w = numbers[index].item()
        found: dict[str, Quotient] = {}
        seconds = dict.fromkeys(self._losses, 0.0)
        try:
            for h in STEPS:
                pending = {name: loss for name, loss in self._losses.items() if name not in found}
                if not pending:
                    break
                above, upper = self._at(numbers, index, w + h, pending)
                below, lower = self._at(numbers, index, w - h, pending)
                for name in pending:
                    seconds[name] += above[name].seconds + below[name].seconds
                    here = self._here[name]
                    if same_side(above[name].sides, here.sides) and same_side(below[name].sides, here.sides):
                        # Divided by the steps that were really taken: w + h is rounded.
                        forward = (above[name].loss - here.loss) / (upper - w)
                        centred = (above[name].loss - below[name].loss) / (upper - lower)
                        found[name] = Quotient(forward, centred, h, seconds[name])
        finally:
            numbers[index] = w
        for name in self._losses.keys() - found.keys():
            found[name] = Quotient(math.nan, math.nan, math.nan, seconds[name])
        return found

    def _plain_pass_s(self, loss: Loss) -> float:
        seconds = []
        with torch.no_grad():
            for _ in range(5):
                started = time.perf_counter()
                loss(self._tail(self._inputs), self._labels).item()
                seconds.append(time.perf_counter() - started)
        return min(seconds)

    def _at(
        self, numbers: torch.Tensor, index: int, value: float, losses: Mapping[str, Loss]
    ) -> tuple[dict[str, _Point], float]:
        numbers[index] = value
        return self._evaluate(losses), numbers[index].item()

    def _evaluate(self, losses: Mapping[str, Loss]) -> dict[str, _Point]:
        started = time.perf_counter()
        with torch.no_grad():
            with Kinks() as of_network:
                scores = self._tail(self._inputs)
            pass_s = time.perf_counter() - started
            points = {}
            for name, loss in losses.items():
                started = time.perf_counter()
                with Kinks() as of_loss:
                    value = loss(scores, self._labels).item()
                own_s = time.perf_counter() - started
                points[name] = _Point(value, of_network.sides + of_loss.sides, pass_s + own_s)
        return points


def probes(
    network: nn.Sequential, pixels: torch.Tensor, labels: torch.Tensor, losses: Mapping[str, Loss]
) -> Iterator[tuple[str, torch.Tensor, Probe]]:
    """Every parameter tensor's name and the tensor, with the probe for its numbers."""
    inputs = pixels
    for position, (layer_name, layer) in enumerate(network.named_children()):
        parameters = list(layer.named_parameters(prefix=layer_name))
        if parameters:
            probe = Probe(network[position:], inputs, labels, losses)
            for name, parameter in parameters:
                yield name, parameter, probe
        with torch.no_grad():
            inputs = layer(inputs)
