"""What runs in a worker process."""

import socket
import threading
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import ray

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame, first_line
from sweeper.workers.memory import Memory
from sweeper.workers.ray.packing import packed, unpacked
from sweeper.workers.stretch import Stretch

if TYPE_CHECKING:
    from sweeper.workers.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Assignment:
    """A trial to be begun, at the beginning or from `checkpoint` on."""

    trial: Trial
    attempt: int
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a worker's process runs; `gpu` is the one that it was given, by Ray's number on that node."""

    node_id: str
    host: str
    gpu: str


@dataclass(frozen=True, slots=True)
class Report:
    """A stretch, and the GPU's memory after it; None without a GPU."""

    stretch: Stretch
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An assignment could not begin: why its checkpoint can't be read."""

    cause: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """A GPU's memory was not enough for the trial."""

    cause: str


class Actor:
    """A worker with `gpus` GPUs, or a share of one. `prepare` is called once, before the first trial."""

    _trainer: "Trainer"

    def __init__(self, gpus: float, checkpoints: CheckpointFiles | None) -> None:
        self._gpus, self._checkpoints = gpus, checkpoints
        # Already while the driver makes ready what `prepare` is given. Nothing but torch: two threads that
        # import parts of the same package could wait for each other.
        threading.Thread(target=import_module, args=("torch",), name="sweeper-torch", daemon=True).start()

    def hello(self) -> Arrival:
        """Where it runs, as soon as it runs."""
        context = ray.get_runtime_context()
        gpu = ",".join(context.get_accelerator_ids().get("GPU", []))
        return Arrival(context.get_node_id(), socket.gethostname(), gpu)

    def prepare(self, experiment: Experiment, dataset: Dataset) -> str:
        """Import torch and take the images in; gives the device's model."""
        from sweeper.workers.trainer import Trainer

        self._trainer = Trainer(
            experiment,
            dataset,
            use_gpu=self._gpus > 0,
            gpu_share=min(self._gpus, 1.0),
            checkpoints=self._checkpoints,
        )
        return self._trainer.device

    def memory(self) -> Memory | None:
        """The GPU's memory; None without a GPU."""
        return self._trainer.memory

    def advance(self, begin: Assignment | None, until_epoch: int) -> Report | Unreadable | OutOfMemory:
        """Train up to and including `until_epoch`; `begin` is given with a trial's first stretch."""
        from sweeper.training.device import is_out_of_memory

        try:
            if begin is not None:
                self._trainer.begin(begin.trial, begin.attempt, begin.checkpoint)
            return Report(self._trainer.advance(until_epoch), self.memory())
        except CheckpointError as error:
            return Unreadable(first_line(error))
        except Exception as error:
            if is_out_of_memory(error):
                return OutOfMemory(blame(error))
            raise

    def advance_packed(self, begin: bytes | None, until_epoch: int) -> bytes:
        """As `advance`, with what is sent and what is given packed."""
        return packed(self.advance(None if begin is None else unpacked(begin), until_epoch))
