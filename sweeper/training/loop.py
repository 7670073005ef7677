"""Trains one trial, an epoch at a time.

The numbers depend on the trial, the experiment and the images alone: every random draw has a generator of its
own, seeded by the trial's seed and, for the data order, by the epoch.
"""

import math
import time
from datetime import UTC, datetime

import torch
from torch import nn
from torch.nn import functional as F

from sweeper import optimizers, scoring, seeds, space
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Trial
from sweeper.training import models
from sweeper.training.device import DeviceData, Images

EVALUATION_BATCH = 500


class Training:
    """One trial being trained: call `next_epoch` until `is_finished`."""

    def __init__(self, trial: Trial, experiment: Experiment, data: DeviceData) -> None:
        self._experiment = experiment
        self._data = data
        self._seed = trial.seed
        self._batch_size = int(trial.params["batch_size"])
        self._network = models.build(
            experiment.model,
            data.n_classes,
            init=str(trial.params.get("init", experiment.model.init)),
            generator=torch.Generator().manual_seed(seeds.weights(trial.seed)),
        )
        has_images = any(isinstance(layer, nn.Conv2d) for layer in self._network)
        self._memory_format = torch.channels_last if has_images else torch.contiguous_format
        self._network.to(device=data.device, memory_format=self._memory_format)  # type: ignore[call-overload]
        rule = {key: float(v) for key, v in trial.params.items() if key not in space.TRAINING}
        self._optimizer = optimizers.build(trial.key.optimizer, self._network.parameters(), **rule)
        self._starting_loss: float | None = None
        self._epoch = self._samples = self._steps = 0
        self.has_diverged = False

    @property
    def epochs_done(self) -> int:
        """How many epochs are trained."""
        return self._epoch

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train: every epoch is done, or the trial diverged."""
        return self.has_diverged or self._epoch >= self._experiment.budget.epochs

    def next_epoch(self) -> EpochRecord:
        """Train on every training image once, validate where it is due, and tell what came of it."""
        self._epoch += 1
        started = time.perf_counter()
        train_loss = self._train()
        trained = time.perf_counter()
        if self._experiment.objective == "train_loss":
            part = min(len(self._data.train), len(self._data.val))
            train_loss, _ = self._evaluate(self._data.train, part)
        val_loss, val_accuracy = self._validate()
        evaluated = time.perf_counter()
        assert self._starting_loss is not None
        self.has_diverged = scoring.has_diverged((train_loss, val_loss), self._starting_loss)
        return EpochRecord(
            epoch=self._epoch,
            samples=self._samples,
            steps=self._steps,
            grad_evals=self._steps,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=float(self._optimizer.param_groups[0]["lr"]),
            train_s=trained - started,
            eval_s=evaluated - trained,
            recorded_at=datetime.now(UTC),
        )

    def _train(self) -> float:
        """One pass over the training images; the mean of the losses seen on the way."""
        data = self._data
        self._network.train()
        total = torch.zeros((), dtype=torch.float64, device=data.device)
        for index in torch.tensor_split(self._data_order(), self._steps_per_epoch):
            pixels, labels = data.batch(data.train, index, self._memory_format)
            loss = F.cross_entropy(self._network(pixels), labels)
            if self._starting_loss is None:
                self._starting_loss = loss.item()
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += loss.detach() * len(index)  # stays on the device: .item() would wait for it each step
            self._samples += len(index)
            self._steps += 1
        return float(total) / len(data.train)

    @property
    def _steps_per_epoch(self) -> int:
        """Batches of nearly equal size, none above the batch size.

        Cut off at the batch size instead, 5,000 images would end each epoch with a step on 8 of them, whose
        noise, just before the validation, costs sgd ten points of accuracy (docs/architecture.md).
        """
        return math.ceil(len(self._data.train) / self._batch_size)

    def _data_order(self) -> torch.Tensor:
        """This epoch's permutation of the training images: the same for every batch size and optimizer."""
        generator = torch.Generator().manual_seed(seeds.data_order(self._seed, self._epoch))
        return torch.randperm(len(self._data.train), generator=generator).to(self._data.device)

    def _validate(self) -> tuple[float | None, float | None]:
        budget = self._experiment.budget
        if self._epoch % budget.eval_every and self._epoch != budget.epochs:
            return None, None
        return self._evaluate(self._data.val, len(self._data.val))

    def _evaluate(self, images: Images, n_images: int) -> tuple[float, float]:
        """Mean loss and accuracy on the first `n_images`."""
        self._network.eval()
        loss = torch.zeros((), dtype=torch.float64, device=self._data.device)
        hits = torch.zeros((), dtype=torch.int64, device=self._data.device)
        with torch.inference_mode():
            for start in range(0, n_images, EVALUATION_BATCH):
                part = slice(start, min(start + EVALUATION_BATCH, n_images))
                pixels, labels = self._data.batch(images, part, self._memory_format)
                scores = self._network(pixels)
                loss += F.cross_entropy(scores, labels, reduction="sum")
                hits += (scores.argmax(dim=1) == labels).sum()
        return float(loss) / n_images, int(hits) / n_images
