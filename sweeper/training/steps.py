"""The two ways in which rules take steps: down the gradient of a batch, or by asking for the loss itself."""

import math
from typing import Any, Protocol

import torch
from torch import nn

from sweeper import schedules, seeds
from sweeper.optimizers.arm import Arm, StepCost
from sweeper.optimizers.loss_rules import LossRule
from sweeper.optimizers.stepping import bare_step
from sweeper.training.augment import Augmentation
from sweeper.training.device import DeviceData
from sweeper.training.ledger import Ledger
from sweeper.training.losses import Loss
from sweeper.training.objective import CHUNK, ImagesObjective


class Steps(Protocol):
    """Takes one trial's steps, one at a time, and charges them to its ledger."""

    @property
    def starting_loss(self) -> float:
        """The first loss seen."""
        ...

    @property
    def lr(self) -> float | None:
        """The learning rate of the last step; None where the rule has none."""
        ...

    def can_step(self) -> bool:
        """Whether the budget pays for another step, and the rule has one to take."""
        ...

    def step(self) -> None:
        """Take a step."""
        ...

    def report_loss(self) -> float:
        """The training loss, without the L2 term, since it was last asked for."""
        ...

    def state(self) -> dict[str, Any]:
        """Where the rule stands, but for the weights and the ledger: plain values and tensors."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the steps would have whose `state` it is."""
        ...


_COST = StepCost(gradients=1)


class GradientSteps:
    """Steps down the gradient of batches; a batch may be the whole training set.

    A batch of more than `CHUNK` images goes through the network in chunks whose gradients add up. The loss
    that it reports is the mean over the images of the losses seen on the way.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        data: DeviceData,
        ledger: Ledger,
        *,
        batch_size: int,
        sampling: str,
        schedule: str,
        augment: bool,
        seed: int,
        memory_format: torch.memory_format,
    ) -> None:
        self._network = network
        self._parameters = list(network.parameters())
        self._optimizer = optimizer
        self._take_step = bare_step(optimizer)
        self._loss = loss
        self._data = data
        self._ledger = ledger
        self._edges = _edges(len(data.train), math.ceil(len(data.train) / batch_size))
        self._sampling = sampling
        self._schedule = schedule
        self._augment = augment
        self._seed = seed
        self._memory_format = memory_format
        self._full_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self._epoch = 0
        self._batch = 0
        self._begin_epoch()
        self._starting_loss: float | None = None
        self._total = torch.zeros((), dtype=torch.float64, device=data.device)
        self._seen = 0

    @property
    def starting_loss(self) -> float:
        """The loss of the first batch."""
        assert self._starting_loss is not None, "asked before the first step"
        return self._starting_loss

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def can_step(self) -> bool:
        """Whether the budget pays for the next batch."""
        k = self._batch % (len(self._edges) - 1)
        return self._ledger.affords(_COST, self._edges[k + 1] - self._edges[k])

    def step(self) -> None:
        """Take a step on the next batch."""
        if self._batch == len(self._edges) - 1:
            self._begin_epoch()
        start, end = self._edges[self._batch : self._batch + 2]
        self._batch += 1
        self._set_lr()
        self._ledger.gradient(end - start)
        for parameter in self._parameters:
            parameter.grad = None
        for first in range(start, end, CHUNK):
            self._add_gradient(slice(first, min(first + CHUNK, end)), of=end - start)
        self._take_step()
        self._ledger.steps += 1

    def _add_gradient(self, positions: slice, of: int) -> None:
        """Add the gradient of the images at those positions of the epoch, part of a batch `of` so many."""
        pixels, labels = self._data.batch(
            self._data.train, self._order[positions], self._memory_format, self._augmentation, positions
        )
        n = len(labels)
        loss = self._loss(self._network(pixels), labels)
        if self._starting_loss is None:
            self._starting_loss = loss.item()
        (loss if n == of else loss * (n / of)).backward()  # type: ignore[no-untyped-call]
        self._total.add_(loss.detach(), alpha=n)  # stays on the device: .item() would wait for it each step
        self._seen += n

    def report_loss(self) -> float:
        """The mean of the losses of all images seen since it was last asked for."""
        mean = float(self._total) / self._seen
        self._total.zero_()
        self._seen = 0
        return mean

    def state(self) -> dict[str, Any]:
        """Where the rule stands; the order of the images and what happens to them follow from the epoch."""
        return {
            "rule": _rule_state(self._optimizer),
            "epoch": self._epoch,
            "batch": self._batch,
            "starting_loss": self._starting_loss,
            "total": float(self._total),
            "seen": self._seen,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the steps would have whose `state` it is."""
        _restore_rule(self._optimizer, state["rule"])
        self._epoch = state["epoch"] - 1
        self._begin_epoch()
        self._batch = state["batch"]
        self._starting_loss = state["starting_loss"]
        self._total.fill_(state["total"])
        self._seen = state["seen"]

    def _set_lr(self) -> None:
        if self._schedule == "constant":
            return
        factor = schedules.factor(self._schedule, self._ledger.progress)
        for group, full in zip(self._optimizer.param_groups, self._full_lrs, strict=True):
            group["lr"] = full * factor

    def _begin_epoch(self) -> None:
        self._epoch += 1
        self._batch = 0
        self._order = self._data_order()
        self._augmentation = self._draw_augmentation() if self._augment else None

    def _draw_augmentation(self) -> Augmentation:
        """What happens to this epoch's images: the same for every batch size and optimizer."""
        pixels = self._data.train.pixels
        seed = seeds.augmentation(self._seed, self._epoch)
        return Augmentation(len(pixels), pixels.shape[-1], seed, self._data.device)

    def _data_order(self) -> torch.Tensor:
        """This epoch's images: the same for every batch size and optimizer."""
        generator = torch.Generator().manual_seed(seeds.data_order(self._seed, self._epoch))
        n = len(self._data.train)
        if self._sampling == "replacement":
            order = torch.randint(n, (n,), generator=generator)
        else:
            order = torch.randperm(n, generator=generator)
        return order.to(self._data.device)


def _edges(n_images: int, n_batches: int) -> list[int]:
    """Where batches of nearly equal size begin and end.

    Cut off at the batch size instead, 5,000 images would end each epoch with a step on 8 of them, whose
    noise, just before the validation, costs sgd ten points of accuracy (docs/architecture.md).
    """
    size, larger = divmod(n_images, n_batches)
    return [k * size + min(k, larger) for k in range(n_batches + 1)]


def _rule_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A rule's memory and learning rates: nothing else of it changes while it runs."""
    lrs = [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
    return {"memory": optimizer.state_dict()["state"], "lrs": lrs}


def _restore_rule(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["memory"], "param_groups": groups})
    with_lr = [group for group in optimizer.param_groups if "lr" in group]
    for group, lr in zip(with_lr, state["lrs"], strict=True):
        group["lr"] = lr


class LossSteps:
    """Steps of a rule that asks for the loss as often as it needs.

    The loss that it reports is the one at the weights as they are, on the images that the rule sees.
    """

    def __init__(self, optimizer: LossRule, arm: Arm, objective: ImagesObjective, ledger: Ledger) -> None:
        self._optimizer = optimizer
        self._arm = arm
        self._objective = objective
        self._ledger = ledger
        self._loss = math.nan

    @property
    def starting_loss(self) -> float:
        """The first loss that the rule asked for."""
        assert self._objective.starting_loss is not None, "asked before the first step"
        return self._objective.starting_loss

    @property
    def lr(self) -> float | None:
        """The learning rate, which the line search multiplies; None where the rule draws."""
        return self._optimizer.lr if "lr" in self._optimizer.defaults else None

    def can_step(self) -> bool:
        """Whether the budget pays for the least that a step costs, and the rule has not converged."""
        cost = self._arm.later_step if self._ledger.steps else self._arm.first_step
        return not self._optimizer.has_ended and self._ledger.affords(
            cost, self._objective.n_images, self._objective.n_parameters
        )

    def step(self) -> None:
        """Take a step."""
        self._loss = self._optimizer.step(self._objective)
        self._ledger.steps += 1

    def report_loss(self) -> float:
        """The loss where the last step ended."""
        return self._objective.without_penalty(self._loss)

    def state(self) -> dict[str, Any]:
        """Where the rule stands, its generator included."""
        generator = self._optimizer.generator
        return {
            "rule": _rule_state(self._optimizer),
            "has_ended": self._optimizer.has_ended,
            "generator": None if generator is None else generator.get_state(),
            "loss": self._loss,
            "starting_loss": self._objective.starting_loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the steps would have whose `state` it is."""
        _restore_rule(self._optimizer, state["rule"])
        self._optimizer.has_ended = state["has_ended"]
        if self._optimizer.generator is not None:
            self._optimizer.generator.set_state(state["generator"])
        self._loss = state["loss"]
        self._objective.starting_loss = state["starting_loss"]
