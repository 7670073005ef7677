"""What a gradient check found, and what passes.

Relative errors. The error of a coordinate is |a - n| / max(|a|, |n|, floor), with a the analytic and n the
numerical gradient: symmetric, and at most 2. The floor keeps it meaningful for tiny gradients, where the
difference is all round-off: 1/100 of the largest |a| or |n| among the tensor's judged coordinates, and at
least `NOISE` times max(1, loss). Both are for h = 1e-5, and grow as round-off does where h is smaller.

Kinks. A coordinate with a kink of ReLU, max pooling or the hinge loss between w - h and w + h is tried again
with a smaller h, then counted and not judged. A tensor of which less than half could be judged fails.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from sweeper.lab.cross_checks import TorchCheck, WrittenOutCheck
from sweeper.lab.numerical import STEPS, Quotient

CENTRED_BAR = 1e-6
"""Centred quotients must be closer than this: the error of a quotient with h = 1e-5 was measured at 1e-11 to
4e-10 times the loss (all six models, two seeds), which is at most 4e-7 of the lowest floor."""

FORWARD_BAR = 1e-2
"""Forward quotients must be closer than this: h f''/2 with h = 1e-5, and f'' up to 2,000 times the slope."""

FLOOR = 1e-2
NOISE = 1e-3
LEAST_JUDGED = 0.5


@dataclass(frozen=True, slots=True)
class TensorCheck:
    """One parameter tensor: `kinks` of its `coordinates` checked ones were not judged.

    Errors are the largest relative ones, NaN if nothing was judged; `largest_gradient` is the largest
    absolute analytic gradient among the checked coordinates; `pass_s` is what one evaluation of the loss
    takes, from this tensor's layer on, and `numerical_s` what the difference quotients, watched for kinks,
    took. `size` is how many coordinates the tensor has.
    """

    tensor: str
    size: int
    coordinates: int
    kinks: int
    forward_error: float
    centred_error: float
    largest_gradient: float
    numerical_s: float
    pass_s: float

    @property
    def passed(self) -> bool:
        """Whether enough coordinates were judged and their errors lie below the bars."""
        return (
            self.coordinates - self.kinks >= LEAST_JUDGED * self.coordinates
            and self.centred_error < CENTRED_BAR
            and self.forward_error < FORWARD_BAR
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One model with one loss: its tensors, times, and further opinions where there are any.

    `analytic_s` is a whole gradient by autograd. `numerical_s` is what the checked coordinates took, one
    forward pass of the layers concerned for each quotient and watching for kinks. `whole_numerical_s` is what
    a whole centred numerical gradient takes that watches nothing: extrapolated from single passes.
    """

    model: str
    loss: str
    n_images: int
    input_size: int
    tensors: tuple[TensorCheck, ...]
    analytic_s: float
    written_out: WrittenOutCheck | None = None
    torch: TorchCheck | None = None

    @property
    def parameters(self) -> int:
        """How many parameters the model has."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def coordinates(self) -> int:
        """How many coordinates were checked."""
        return sum(tensor.coordinates for tensor in self.tensors)

    @property
    def kinks(self) -> int:
        """How many of them lie on a kink and were not judged."""
        return sum(tensor.kinks for tensor in self.tensors)

    @property
    def centred_error(self) -> float:
        """The largest relative error of a centred quotient; NaN if a tensor has none."""
        return _largest(tensor.centred_error for tensor in self.tensors)

    @property
    def forward_error(self) -> float:
        """The largest relative error of a forward quotient; NaN if a tensor has none."""
        return _largest(tensor.forward_error for tensor in self.tensors)

    @property
    def numerical_s(self) -> float:
        """Seconds of the checked coordinates' difference quotients."""
        return sum(tensor.numerical_s for tensor in self.tensors)

    @property
    def whole_numerical_s(self) -> float:
        """Seconds of the whole numerical gradient: two passes for each number."""
        return sum(2 * tensor.pass_s * tensor.size for tensor in self.tensors)

    @property
    def is_whole(self) -> bool:
        """Whether every coordinate was checked, so that nothing is extrapolated."""
        return self.coordinates == self.parameters

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong: tensors by their names, `written out`, `torch`; empty if the check passed."""
        failures = [tensor.tensor for tensor in self.tensors if not tensor.passed]
        if self.written_out is not None and not self.written_out.passed:
            failures.append("written out")
        if self.torch is not None and not self.torch.passed:
            failures.append("torch")
        return tuple(failures)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures


def judge(
    tensor: str,
    size: int,
    analytic: torch.Tensor,
    quotients: Sequence[Quotient],
    loss: float,
    pass_s: float = 0.0,
) -> TensorCheck:
    """Hold a tensor's difference quotients against the analytic gradient (K,) of the same K coordinates.

    `size` is how many coordinates the tensor has, `loss` the loss where it stands.
    """
    smooth = torch.tensor([quotient.is_smooth for quotient in quotients])

    steps = torch.tensor([quotient.h for quotient in quotients], dtype=torch.float64)[smooth]
    noise = NOISE * max(1.0, abs(loss))

    def largest_error(values: Sequence[float]) -> float:
        numerical = torch.tensor(values, dtype=torch.float64)[smooth]
        return _largest(relative_errors(analytic[smooth], numerical, steps, noise).tolist())

    return TensorCheck(
        tensor=tensor,
        size=size,
        coordinates=len(quotients),
        kinks=len(quotients) - int(smooth.sum()),
        forward_error=largest_error([quotient.forward for quotient in quotients]),
        centred_error=largest_error([quotient.centred for quotient in quotients]),
        largest_gradient=analytic.abs().max().item(),
        numerical_s=sum(quotient.seconds for quotient in quotients),
        pass_s=pass_s,
    )


def relative_errors(
    analytic: torch.Tensor, numerical: torch.Tensor, steps: torch.Tensor, noise: float
) -> torch.Tensor:
    """|a - n| / max(|a|, |n|, floor) for K coordinates with their `steps` h, and the floor explained above.

    `noise` is the gradient below which a difference quotient with the first step knows nothing.
    """
    larger = torch.maximum(analytic.abs(), numerical.abs())
    scale = larger.max().item() if len(larger) else 0.0
    floors = max(FLOOR * scale, noise) * STEPS[0] / steps
    return (analytic - numerical).abs() / torch.maximum(larger, floors)


def _largest(errors: Iterable[float]) -> float:
    """The largest; NaN if one is NaN or there is none."""
    values = torch.tensor(list(errors), dtype=torch.float64)
    return values.max().item() if len(values) else float("nan")
