"""The gradient check: every parameter tensor's analytic gradient against numerical ones, in float64.

The lecture's advice: derive the gradient, which is exact and fast, and check it against difference quotients,
which are approximate, slow and easy to write.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from sweeper import architectures
from sweeper.errors import UsageError
from sweeper.experiment.sections import Model
from sweeper.lab import cross_checks, numerical
from sweeper.lab.cross_checks import WEIGHT_DECAY
from sweeper.lab.numerical import Quotient
from sweeper.lab.problem import draw
from sweeper.lab.verdict import Check, TensorCheck, judge
from sweeper.training.losses import LOSSES, Loss, penalty

N_COORDINATES = 100
"""How many coordinates of each tensor are checked unless all are."""

Progress = Callable[[str, int, int], None]
"""Told the model's name, how many of its coordinates are done, and how many there are to do."""


def check_all(
    models: Sequence[str] = architectures.NAMES,
    losses: Sequence[str] = tuple(LOSSES),
    *,
    all_coordinates: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[Check]:
    """Check the named models, at the experiment file's default sizes, with the named losses.

    An unknown name is a `UsageError` at once. A model's losses come together: they share forward passes.
    """
    for kind, names, legal in (("model", models, architectures.NAMES), ("loss", losses, tuple(LOSSES))):
        for name in names:
            if name not in legal:
                raise UsageError(f"there is no {kind} {name!r}; there are {', '.join(legal)}")
    coordinates = None if all_coordinates else N_COORDINATES
    return _checks(models, {name: LOSSES[name] for name in losses}, coordinates, seed, progress)


def _checks(
    models: Sequence[str],
    losses: Mapping[str, Loss],
    coordinates: int | None,
    seed: int,
    progress: Progress | None,
) -> Iterator[Check]:
    for name in models:
        problem = draw(Model.model_validate({"name": name}), seed)
        for found in check(
            problem.network,
            losses,
            problem.pixels,
            problem.labels,
            model=name,
            coordinates=coordinates,
            seed=seed,
            progress=progress,
        ):
            opinion = None
            if name == "linear":
                scores = problem.network(problem.pixels)
                parameters = list(problem.network.parameters())
                loss = losses[found.loss](scores, problem.labels) + penalty(parameters, WEIGHT_DECAY)
                gradients = torch.autograd.grad(loss, parameters)
                opinion = cross_checks.written_out(problem, found.loss, gradients)
            torchs = cross_checks.torch_gradcheck(name, found.loss, seed)
            yield replace(found, written_out=opinion, torch=torchs)


def check(
    network: nn.Sequential,
    losses: Mapping[str, Loss],
    pixels: torch.Tensor,
    labels: torch.Tensor,
    *,
    model: str = "",
    coordinates: int | None = N_COORDINATES,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Check, ...]:
    """Check `network` with each of `losses` on `pixels` (N, 3, S, S) and `labels` (N,), where it stands.

    A copy of the network is checked, in float64. At most `coordinates` of each tensor, drawn by `seed`, are
    looked at; None means all. The samples must not depend on each other or on chance.
    """
    network, pixels = copy.deepcopy(network).double().eval(), pixels.double()
    analytic = {name: _analytic(network, loss, pixels, labels) for name, loss in losses.items()}
    chosen = _choose(network, coordinates, seed)
    n_coordinates, done = sum(map(len, chosen.values())), 0
    tensors: dict[str, list[TensorCheck]] = {name: [] for name in losses}
    for tensor, parameter, probe in numerical.probes(network, pixels, labels, losses):
        quotients: list[dict[str, Quotient]] = []
        for index in chosen[tensor]:
            quotients.append(probe.quotients(parameter, index))
            done += 1
            if progress is not None:
                progress(model, done, n_coordinates)
        for name in losses:
            slopes = analytic[name].gradients[tensor].flatten()[chosen[tensor]]
            found = [by_loss[name] for by_loss in quotients]
            loss = analytic[name].loss
            tensors[name].append(judge(tensor, parameter.numel(), slopes, found, loss, probe.pass_s[name]))
    return tuple(
        Check(model, name, len(labels), pixels.shape[-1], tuple(tensors[name]), analytic[name].seconds)
        for name in losses
    )


@dataclass(frozen=True, slots=True)
class _Analytic:
    loss: float
    gradients: dict[str, torch.Tensor]
    seconds: float


def _analytic(network: nn.Module, loss: Loss, pixels: torch.Tensor, labels: torch.Tensor) -> _Analytic:
    """Autograd's gradient, and what it takes once torch is warm: the best of three."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        value = loss(network(pixels), labels)
        gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        seconds.append(time.perf_counter() - started)
    return _Analytic(value.item(), dict(zip(names, gradients, strict=True)), min(seconds))


def _choose(network: nn.Module, coordinates: int | None, seed: int) -> dict[str, list[int]]:
    """Flat indices into each parameter tensor, in order."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: sorted(torch.randperm(parameter.numel(), generator=generator)[:coordinates].tolist())
        for name, parameter in network.named_parameters()
    }
