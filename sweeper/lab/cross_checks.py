"""Two further opinions on a gradient: the lecture's formulas, and `torch.autograd.gradcheck`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sweeper import architectures
from sweeper.experiment.sections import Model
from sweeper.lab import analytic
from sweeper.lab.problem import N_CLASSES, Problem, draw
from sweeper.training.losses import LOSSES

WRITTEN_OUT_BAR = 1e-10
"""Two exact gradients differ by round-off only: some 1e-15 times the number of terms in a sum."""

TORCH_LIMIT = 2_500
"""`torch.autograd.gradcheck` evaluates the loss twice for each parameter: above this number, too long."""

WEIGHT_DECAY = 0.1
"""2λ of the L2 term that is checked along."""

_FORMULAS = {"cross_entropy": analytic.softmax_cross_entropy, "hinge": analytic.multiclass_svm}


@dataclass(frozen=True, slots=True)
class WrittenOutCheck:
    """The lecture's formula for the linear model against autograd, every coordinate.

    `error` is the largest difference over the largest gradient; `seconds` is what the formula took.
    """

    error: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the two are the same up to round-off."""
        return self.error < WRITTEN_OUT_BAR


@dataclass(frozen=True, slots=True)
class TorchCheck:
    """What `torch.autograd.gradcheck` says of the model at its smallest size, every coordinate.

    `agrees` is None where it was not run because even the smallest has more than `TORCH_LIMIT` parameters.
    """

    input_size: int
    parameters: int
    agrees: bool | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it agrees, or was not asked."""
        return self.agrees is not False


def written_out(problem: Problem, loss: str, gradients: Sequence[torch.Tensor]) -> WrittenOutCheck:
    """The formula of `loss` and its L2 term for a linear model, against autograd's `gradients` (C, D), (C,).

    The penalty is that of `WEIGHT_DECAY`.
    """
    layer = problem.network[-1]
    assert isinstance(layer, nn.Linear)
    x, w, b = problem.pixels.flatten(1).numpy(), layer.weight.detach().numpy().T, layer.bias.detach().numpy()
    labels = problem.labels.numpy()
    started = time.perf_counter()
    found = _FORMULAS[loss](x, labels, w, b, l2=WEIGHT_DECAY / 2)
    seconds = time.perf_counter() - started
    mine = torch.cat([torch.from_numpy(found.dw.T).flatten(), torch.from_numpy(found.db)])
    autograds = torch.cat([gradient.flatten() for gradient in gradients])
    scale = torch.maximum(mine.abs().max(), autograds.abs().max())
    return WrittenOutCheck(((mine - autograds).abs().max() / scale).item(), seconds)


def torch_gradcheck(model_name: str, loss: str, seed: int) -> TorchCheck:
    """Run `torch.autograd.gradcheck` on the model's smallest network, where that is small enough."""
    model = _smallest(model_name)
    parameters = architectures.parameter_count(
        model.name,
        n_classes=N_CLASSES,
        input_size=model.input_size,
        hidden=model.hidden,
        channels=model.channels,
    )
    if parameters > TORCH_LIMIT:
        return TorchCheck(model.input_size, parameters, agrees=None, seconds=0.0)
    problem = draw(model, seed)
    names = [name for name, _ in problem.network.named_parameters()]

    def loss_of(*tensors: torch.Tensor) -> torch.Tensor:
        weights = dict(zip(names, tensors, strict=True))
        scores = torch.func.functional_call(problem.network, weights, (problem.pixels,))
        return LOSSES[loss](scores, problem.labels)

    started = time.perf_counter()
    agrees = torch.autograd.gradcheck(
        loss_of, tuple(problem.network.parameters()), atol=1e-7, rtol=1e-5, raise_exception=False
    )
    return TorchCheck(model.input_size, parameters, agrees, time.perf_counter() - started)


def _smallest(name: str) -> Model:
    """The model at the smallest sizes that an experiment file may give it, narrow where it may be."""
    channels = (4, 4)
    least = architectures.smallest_input(name, channels=channels)
    side = next(side for side in (8, 16, 32) if side >= least)
    return Model.model_validate({"name": name, "input_size": side, "hidden": (8,), "channels": channels})
