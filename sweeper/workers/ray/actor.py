"""What runs in a worker process."""

import socket
from typing import Any

import ray

from sweeper.experiment import Experiment
from sweeper.records import Trial
from sweeper.training.data import Dataset


class Actor:
    """A worker. torch is imported when it is made, once."""

    def __init__(self, experiment: Experiment, dataset: Dataset, use_gpu: bool) -> None:
        from sweeper.workers.trainer import Trainer

        self._trainer = Trainer(experiment, dataset, use_gpu=use_gpu)

    def hello(self) -> tuple[str, str, str]:
        """The worker's node id, host and device, once it is ready."""
        return ray.get_runtime_context().get_node_id(), socket.gethostname(), self._trainer.device

    def advance(self, trial: Trial | None, until_epoch: int) -> Any:
        """Train up to and including `until_epoch`; `trial` is given with its first stretch."""
        if trial is not None:
            self._trainer.begin(trial)
        return self._trainer.advance(until_epoch)
