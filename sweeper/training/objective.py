"""The loss over many images as a function of the weights, in chunks that fit into memory."""

from collections.abc import Iterator

import torch
from torch import nn

from sweeper.optimizers.loss_rules.objective import flat
from sweeper.training import losses
from sweeper.training.device import DeviceData, Images
from sweeper.training.ledger import Ledger
from sweeper.training.losses import Loss

CHUNK = 512
"""Images that go through a network at once, in training and evaluation; losses and gradients are added up."""

SIDE_BY_SIDE, SIDE_BY_SIDE_CONV = 100, 4
"""Hessian-vector products that are computed at once. Their memory is that of so many gradients; linear layers
gain by it, convolutions lose from a few on (measured: 12 s for 4, 19 s for 16, 32 s one by one)."""


class ImagesObjective:
    """Keeps the contract of `sweeper.optimizers.loss_rules.Objective`: mean loss on `images` plus L2 penalty.

    The images are seen as they are, never augmented: a rule that compares losses needs one and the same
    function. Every call is charged to `ledger`.
    """

    def __init__(
        self,
        network: nn.Module,
        data: DeviceData,
        images: Images,
        loss: Loss,
        *,
        weight_decay: float,
        memory_format: torch.memory_format,
        ledger: Ledger,
    ) -> None:
        self._network = network
        self._data = data
        self._images = images
        self._loss = loss
        self._weight_decay = weight_decay
        self._memory_format = memory_format
        self._ledger = ledger
        self._parameters = list(network.parameters())
        self.n_images = len(images)
        self.n_parameters = sum(p.numel() for p in self._parameters)
        self.starting_loss: float | None = None
        """The first loss that was evaluated, without the penalty."""

    def __call__(self) -> float:
        """The loss, with its gradient left in the parameters."""
        self._ledger.gradient(self.n_images)
        for parameter in self._parameters:
            parameter.grad = None
        total = self._zero()
        with torch.enable_grad():
            for pixels, labels in self._chunks(self._memory_format):
                part = self._loss(self._network(pixels), labels, reduction="sum") / self.n_images
                part.backward()  # type: ignore[no-untyped-call]
                total += part.detach()
            penalty = losses.penalty(self._parameters, self._weight_decay)
            if self._weight_decay:
                penalty.backward()  # type: ignore[no-untyped-call]
        return self._with_penalty(total, penalty)

    @torch.no_grad()
    def loss(self) -> float:
        """The loss alone."""
        self._ledger.forward(self.n_images)
        total = self._zero()
        for pixels, labels in self._chunks(self._memory_format):
            total += self._loss(self._network(pixels), labels, reduction="sum") / self.n_images
        return self._with_penalty(total, losses.penalty(self._parameters, self._weight_decay))

    def hessian(self) -> torch.Tensor:
        """The Hessian (P, P), by a Hessian-vector product for each parameter.

        Many of them run side by side, so that the network's small matrices become larger ones.
        """
        self._ledger.hessian(self.n_images, self.n_parameters)
        names = [name for name, _ in self._network.named_parameters()]
        shapes = [p.shape for p in self._parameters]
        sizes = [p.numel() for p in self._parameters]
        weights = flat(self._parameters)
        shape = (self.n_parameters, self.n_parameters)
        hessian = torch.zeros(shape, dtype=weights.dtype, device=weights.device)
        has_conv = any(isinstance(layer, nn.Conv2d) for layer in self._network.modules())
        group = SIDE_BY_SIDE_CONV if has_conv else SIDE_BY_SIDE
        # Derivatives of derivatives side by side know no channels_last.
        for pixels, labels in self._chunks(torch.contiguous_format):

            def part(
                vector: torch.Tensor, pixels: torch.Tensor = pixels, labels: torch.Tensor = labels
            ) -> torch.Tensor:
                pieces = torch.split(vector, sizes)
                values = {n: p.view(s) for n, p, s in zip(names, pieces, shapes, strict=True)}
                scores = torch.func.functional_call(self._network, values, (pixels,))
                return self._loss(scores, labels, reduction="sum") / self.n_images

            # Reverse over reverse: torch's forward mode, jvp, warns of its own deprecated parts.
            hessian += torch.func.jacrev(torch.func.grad(part), chunk_size=group)(weights)
        decays = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in self._parameters])
        return hessian + torch.diag(self._weight_decay * decays.to(hessian))

    def without_penalty(self, loss: float) -> float:
        """A loss at the weights as they are, as it is reported: without the L2 term."""
        with torch.no_grad():
            return loss - float(losses.penalty(self._parameters, self._weight_decay))

    def _chunks(self, memory_format: torch.memory_format) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, self.n_images, CHUNK):
            part = slice(start, min(start + CHUNK, self.n_images))
            yield self._data.batch(self._images, part, memory_format)

    def _zero(self) -> torch.Tensor:
        """Sums are in double precision: a line search compares losses that differ in the last digits."""
        return torch.zeros((), dtype=torch.float64, device=self._data.device)

    def _with_penalty(self, total: torch.Tensor, penalty: torch.Tensor) -> float:
        if self.starting_loss is None:
            self.starting_loss = float(total)
        return float(total) + float(penalty.detach())
