"""What every kind of worker does with a trial: build it, then train it a stretch of epochs at a time."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from sweeper.checkpoints import CheckpointFiles
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, EpochRecord, FinalScore, Phase, Trial, TrialState
from sweeper.training.data import Dataset
from sweeper.training.device import DeviceData, choose, configure, name
from sweeper.training.loop import Training


@dataclass(frozen=True, slots=True)
class Stretch:
    """What came of one call: the epochs trained, how the trial ended if it did, its setup time.

    `test` is what a final scored on the test images at its end. `checkpoint` is the latest one that was
    saved, `checkpoint_error` says in a line why one was not.
    """

    records: tuple[EpochRecord, ...]
    outcome: TrialState | None
    setup_s: float
    test: FinalScore | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_error: str | None = None


class Trainer:
    """Holds the images and one trial. Sets the number of torch's threads for the whole process.

    `checkpoints` is where `[checkpoint]` saves progress; None: nowhere.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        use_gpu: bool,
        checkpoints: CheckpointFiles | None = None,
    ) -> None:
        configure(threads=experiment.resources.cpus_per_trial)
        self._experiment = experiment
        self._checkpoints = checkpoints
        self._data = DeviceData(dataset, choose(use_gpu))
        self._training: Training | None = None
        self._setup_s = 0.0

    @property
    def device(self) -> str:
        """The device's model."""
        return name(self._data.device)

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
        if self._data.device.type == "cuda":
            torch.cuda.empty_cache()
        started = time.perf_counter()
        self._training = Training(trial, self._experiment, self._data)
        self._setup_s = time.perf_counter() - started

    def advance(self, until_epoch: int) -> Stretch:
        """Train up to and including `until_epoch`, or to the trial's end."""
        training = self._training
        assert training is not None, "advance before begin"
        records = []
        while not training.is_finished and training.epochs_done < until_epoch:
            if (record := training.next_epoch()) is not None:
                records.append(record)
        outcome = test = None
        if training.is_finished:
            outcome = TrialState.DIVERGED if training.has_diverged else TrialState.COMPLETE
        if outcome is TrialState.COMPLETE and training.phase is Phase.FINAL:
            test = training.test_score()
        return Stretch(tuple(records), outcome, self._setup_s, test)
