"""What runs in a worker process."""

import socket
from dataclasses import dataclass
from typing import Any

import ray

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial
from sweeper.training.data import Dataset
from sweeper.workers.blame import first_line


@dataclass(frozen=True, slots=True)
class Assignment:
    """A trial to be begun, at the beginning or from `checkpoint` on."""

    trial: Trial
    attempt: int
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An assignment could not begin: why its checkpoint can't be read."""

    cause: str


class Actor:
    """A worker. torch is imported when it is made, once."""

    def __init__(
        self, experiment: Experiment, dataset: Dataset, gpu_share: float, checkpoints: CheckpointFiles | None
    ) -> None:
        from sweeper.training.device import limit_memory
        from sweeper.workers.trainer import Trainer

        limit_memory(gpu_share)
        self._trainer = Trainer(experiment, dataset, use_gpu=gpu_share > 0, checkpoints=checkpoints)

    def hello(self) -> tuple[str, str, str]:
        """The worker's node id, host and device, once it is ready."""
        return ray.get_runtime_context().get_node_id(), socket.gethostname(), self._trainer.device

    def advance(self, begin: Assignment | None, until_epoch: int) -> Any:
        """Train up to and including `until_epoch`; `begin` is given with a trial's first stretch."""
        if begin is not None:
            try:
                self._trainer.begin(begin.trial, begin.attempt, begin.checkpoint)
            except CheckpointError as error:
                return Unreadable(first_line(error))
        return self._trainer.advance(until_epoch)
