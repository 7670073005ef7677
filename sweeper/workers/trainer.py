"""What every kind of worker does with a trial: build it, then train it a stretch of epochs at a time."""

import gc
import time

import torch
from torch import nn

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, EpochRecord, Phase, Trial, TrialState
from sweeper.training import state
from sweeper.training.data import Dataset
from sweeper.training.device import DeviceData, choose, configure, limit_memory, name, total_memory, warm_up
from sweeper.training.loop import Training
from sweeper.workers.memory import Memory, fraction
from sweeper.workers.stretch import Stretch


class Trainer:
    """Holds the images and one trial. Sets the number of torch's threads for the whole process.

    `checkpoints` is where `[checkpoint]` saves progress; None: nowhere. torch reserves no more of the GPU's
    memory than belongs to `gpu_share`.
    """

    _trial: Trial
    _attempt: int

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        use_gpu: bool,
        gpu_share: float = 1.0,
        checkpoints: CheckpointFiles | None = None,
    ) -> None:
        configure(threads=experiment.resources.cpus_per_trial)
        warm_up()
        self._experiment = experiment
        self._checkpoints = checkpoints
        device = choose(use_gpu)
        self._gpu_bytes = total_memory(device)
        if self._gpu_bytes and gpu_share < 1:  # before anything is on it
            limit_memory(fraction(gpu_share, self._gpu_bytes))
        self._data = DeviceData(dataset, device)
        self._base_bytes = 0
        self._training: Training | None = None
        self._setup_s = 0.0

    @property
    def device(self) -> str:
        """The device's model."""
        return name(self._data.device)

    @property
    def memory(self) -> Memory | None:
        """The GPU's memory since the trial in hand began; None without a GPU."""
        if not self._gpu_bytes:
            return None
        return Memory(self._gpu_bytes, torch.cuda.max_memory_reserved(), self._base_bytes)

    @property
    def network(self) -> nn.Module:
        """The network of the trial in hand, as far as it is trained."""
        assert self._training is not None, "no trial in hand"
        return self._training.network

    def begin(self, trial: Trial, attempt: int = 1, checkpoint: Checkpoint | None = None) -> None:
        """Drop the trial in hand and take this one, from `checkpoint` on where one is given.

        Raises CheckpointError where that can't be read.
        """
        self._training = None
        if self._gpu_bytes:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._base_bytes = torch.cuda.memory_reserved()
        started = time.perf_counter()
        training = Training(trial, self._experiment, self._data)
        self._trial, self._attempt = trial, attempt
        if checkpoint is not None:
            self._resume(training, checkpoint)
        self._training = training
        self._setup_s = time.perf_counter() - started

    def advance(self, until_epoch: int) -> Stretch:
        """Train up to and including `until_epoch`, or to the trial's end.

        Of the checkpoints that are due on the way only the last is saved, for nobody hears of the others.
        """
        training = self._training
        assert training is not None, "advance before begin"
        records: list[EpochRecord] = []
        checkpoint = checkpoint_error = None
        while not training.is_finished and training.epochs_done < until_epoch:
            before = training.epochs_done
            if (record := training.next_epoch()) is not None:
                records.append(record)
            if self._is_due(training, before, until_epoch):
                try:
                    checkpoint = self._save(training)
                except CheckpointError as error:
                    checkpoint_error = str(error)
        outcome = test = None
        if training.is_finished:
            outcome = TrialState.DIVERGED if training.has_diverged else TrialState.COMPLETE
        if outcome is TrialState.COMPLETE and training.phase is Phase.FINAL:
            test = training.test_score()
        return Stretch(tuple(records), outcome, self._setup_s, test, checkpoint, checkpoint_error)

    def _is_due(self, training: Training, before: int, until_epoch: int) -> bool:
        """Whether to save now: a multiple of `every_epochs` was passed, the last one of this stretch."""
        every = self._experiment.checkpoint.every_epochs
        if self._checkpoints is None or not every or training.is_finished:
            return False
        passed = training.epochs_done // every
        return before // every < passed and (passed + 1) * every > until_epoch

    def _save(self, training: Training) -> Checkpoint:
        assert self._checkpoints is not None
        checkpoint = Checkpoint(self._attempt, training.epochs_done)
        self._checkpoints.save(self._trial.key, checkpoint, state.dump(training, self._identity()))
        return checkpoint

    def _resume(self, training: Training, checkpoint: Checkpoint) -> None:
        assert self._checkpoints is not None, "a checkpoint without a directory"
        saved = self._checkpoints.load(self._trial.key, checkpoint)
        try:
            state.resume(training, self._identity(), checkpoint.epoch, saved)
        except CheckpointError as error:
            where = self._checkpoints.path(self._trial.key, checkpoint)
            raise CheckpointError(f"{where}: {error}") from None

    def _identity(self) -> state.Identity:
        return state.identity(self._trial, self._experiment, self._data.sha256)
