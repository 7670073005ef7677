"""Trains one trial, an epoch's worth of its budget at a time.

The numbers depend on the trial, the experiment and the images alone: every random draw has a generator of its
own, seeded by the trial's seed and, for the data order, by the epoch.
"""

import time
from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn

from sweeper import optimizers, scoring, seeds, space
from sweeper.experiment import Experiment
from sweeper.optimizers.arm import Sees
from sweeper.optimizers.loss_rules import LossRule
from sweeper.records import EpochRecord, FinalScore, Phase, Trial, Value
from sweeper.training import losses, models
from sweeper.training.device import DeviceData, Images
from sweeper.training.ledger import Ledger
from sweeper.training.objective import CHUNK, ImagesObjective
from sweeper.training.steps import GradientSteps, LossSteps, Steps

SUBSET_SIZE = 1_000
"""So many training images score every draw of a rule without a gradient."""


class Training:
    """One trial being trained: call `next_epoch` until `is_finished`."""

    def __init__(self, trial: Trial, experiment: Experiment, data: DeviceData) -> None:
        self._trial = trial
        self._experiment = experiment
        self._data = data
        self._space = experiment.arm(trial.key.optimizer)
        self._arm = self._space.arm
        self._loss = losses.LOSSES[experiment.loss.name]
        self._network = models.build(
            experiment.model,
            data.n_classes,
            init=str(trial.params.get("init", experiment.model.init)),
            generator=torch.Generator().manual_seed(seeds.weights(trial.seed)),
        )
        has_images = any(isinstance(layer, nn.Conv2d) for layer in self._network.modules())
        self._memory_format = torch.channels_last if has_images else torch.contiguous_format
        self._network.to(device=data.device, memory_format=self._memory_format)  # type: ignore[call-overload]
        self._ledger = Ledger(len(data.train), experiment.budget.epochs, self._space.steps)
        self._steps = self._make_steps()
        self._rungs = experiment.pruning.rungs
        self._epoch = 0
        self.has_diverged = False

    @property
    def network(self) -> nn.Module:
        """The network, as far as it is trained."""
        return self._network

    @property
    def phase(self) -> Phase:
        """What the trial is for."""
        return self._trial.key.phase

    @property
    def epochs_done(self) -> int:
        """The last epoch that was recorded."""
        return self._epoch

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train: the budget is spent, or the trial converged or diverged."""
        return self.has_diverged or not self._steps.can_step()

    def next_epoch(self) -> EpochRecord | None:
        """Train to the end of the step that completes an epoch's worth, and tell what came of it.

        A step that costs several epochs gives one record. None where the rule turned out to have converged.
        """
        started = time.perf_counter()
        before = self._ledger.samples
        self._network.train()
        while self._ledger.epochs <= self._epoch and self._steps.can_step():
            self._steps.step()
        if self._ledger.samples == before:
            return None
        # The budget may end within an epoch: its last part is a record too.
        self._epoch = max(self._ledger.epochs, self._epoch + 1)
        train_loss = self._steps.report_loss()
        trained = time.perf_counter()
        if self._experiment.objective == "train_loss":
            part = min(len(self._data.train), len(self._data.val))
            train_loss, _ = self._evaluate(self._data.train, part)
        val_loss, val_accuracy = self._validate()
        evaluated = time.perf_counter()
        self.has_diverged = scoring.has_diverged((train_loss, val_loss), self._steps.starting_loss)
        return EpochRecord(
            epoch=self._epoch,
            samples=self._ledger.samples,
            steps=self._ledger.steps,
            grad_evals=self._ledger.grad_evals,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self._steps.lr,
            train_s=trained - started,
            eval_s=evaluated - trained,
            recorded_at=datetime.now(UTC),
        )

    def test_score(self) -> FinalScore:
        """Score the trained network on the test images: once, at the end of a final, and nowhere else."""
        assert self.phase is Phase.FINAL, "the test images are for finals"
        assert self.is_finished, "the test images are for the end of a final"
        images = self._data.test()
        return FinalScore(*self._evaluate(images, len(images)))

    def state(self) -> dict[str, Any]:
        """How far the trial is, as plain values and tensors: the training's own, not copies."""
        return {
            "network": dict(self._network.state_dict()),
            "ledger": self._ledger.state(),
            "steps": self._steps.state(),
            "epoch": self._epoch,
            "has_diverged": self.has_diverged,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the training would have whose `state` it is; this one has the same trial."""
        self._network.load_state_dict(state["network"])
        self._ledger.restore(state["ledger"])
        self._steps.restore(state["steps"])
        self._epoch = state["epoch"]
        self.has_diverged = state["has_diverged"]

    def _make_steps(self) -> Steps:
        params = self._trial.params
        rule: dict[str, Any] = {
            key: _rule_value(key, v) for key, v in params.items() if key not in space.TRAINING
        }
        weight_decay = float(rule.pop("weight_decay", 0.0))
        if self._arm.sees.asks_for_the_loss:
            return self._make_loss_steps(rule, weight_decay)
        if self._space.torch_class is not None:
            optimizer = optimizers.custom.build(
                self._space.torch_class, self._network.parameters(), weight_decay=weight_decay, **rule
            )
        else:
            optimizer = optimizers.build(
                self._arm.name, self._network.parameters(), weight_decay=weight_decay, **rule
            )
        n_train = len(self._data.train)
        return GradientSteps(
            self._network,
            optimizer,
            self._loss,
            self._data,
            self._ledger,
            batch_size=n_train if self._arm.sees is Sees.ALL else int(params["batch_size"]),
            sampling=str(params.get("sampling", "shuffle")),
            schedule=str(params.get("schedule", "constant")),
            augment=self._experiment.data.augment,
            seed=self._trial.seed,
            memory_format=self._memory_format,
        )

    def _make_loss_steps(self, rule: dict[str, Any], weight_decay: float) -> LossSteps:
        images = self._data.train
        if self._arm.sees is Sees.SUBSET:
            images = self._subset()
            rule["generator"] = torch.Generator().manual_seed(seeds.draws(self._trial.seed))
        optimizer = optimizers.build(self._arm.name, self._network.parameters(), **rule)
        assert isinstance(optimizer, LossRule)
        objective = ImagesObjective(
            self._network,
            self._data,
            images,
            self._loss,
            weight_decay=weight_decay,
            memory_format=self._memory_format,
            ledger=self._ledger,
        )
        return LossSteps(optimizer, self._arm, objective, self._ledger)

    def _subset(self) -> Images:
        """The training images that score every draw, drawn by the trial's seed."""
        generator = torch.Generator().manual_seed(seeds.subset(self._trial.seed))
        n_train = len(self._data.train)
        chosen = torch.randperm(n_train, generator=generator)[:SUBSET_SIZE].to(self._data.device)
        return Images(self._data.train.pixels[chosen], self._data.train.labels[chosen])

    def _validate(self) -> tuple[float | None, float | None]:
        """At each `eval_every`, at rungs and at the end; always where a rule may converge unforeseen."""
        is_due = self._epoch % self._experiment.budget.eval_every == 0 or self._epoch in self._rungs
        if not (is_due or self._arm.sees.asks_for_the_loss or not self._steps.can_step()):
            return None, None
        return self._evaluate(self._data.val, len(self._data.val))

    def _evaluate(self, images: Images, n_images: int) -> tuple[float, float]:
        """Mean loss and accuracy on the first `n_images`."""
        self._network.eval()
        loss = torch.zeros((), dtype=torch.float64, device=self._data.device)
        hits = torch.zeros((), dtype=torch.int64, device=self._data.device)
        with torch.inference_mode():
            for start in range(0, n_images, CHUNK):
                part = slice(start, min(start + CHUNK, n_images))
                pixels, labels = self._data.batch(images, part, self._memory_format)
                scores = self._network(pixels)
                loss += self._loss(scores, labels, reduction="sum")
                hits += (scores.argmax(dim=1) == labels).sum()
        return float(loss) / n_images, int(hits) / n_images


def _rule_value(name: str, value: Value) -> Value:
    """A hyperparameter as the rule's constructor takes it: 1 is 1.0 where a real number is meant."""
    known = space.HYPERPARAMETERS.get(name)
    return float(value) if known is not None and known.kind is float else value
