"""One worker in this process: for tests, for debugging, and where Ray is not wanted.

It trains inside `wait`, so a program that uses it is single-threaded and can be stepped through. Its numbers
are those of a Ray worker, bit for bit.
"""

import math
import socket

from sweeper.checkpoints import CheckpointFiles
from sweeper.errors import CheckpointError
from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, Trial, WorkerInfo
from sweeper.training.data import Dataset
from sweeper.workers.blame import blame
from sweeper.workers.protocol import Advanced, Lost, Slot
from sweeper.workers.trainer import Trainer


class _InterruptedTrainingError(BaseException):
    """Raised from within training, past everything that catches errors. Never leaves `wait`."""


class InlineWorkers:
    """Keeps the contract of `Workers` with a single slot in the calling process.

    `token` is the sweep's lease token: it makes the worker's name tell this coordinator from others.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        *,
        token: int = 1,
        use_gpu: bool = False,
        checkpoints: CheckpointFiles | None = None,
    ) -> None:
        self._trainer = Trainer(experiment, dataset, use_gpu=use_gpu, checkpoints=checkpoints)
        self._slot = WorkerInfo(f"{token}/inline", socket.gethostname(), self._trainer.device)
        self._work: tuple[Trial, int, Checkpoint | None] | None = None
        self._is_begun = False
        self._until: int | None = None
        self._may_interrupt = False
        self._is_spoiled = False

    def slots(self) -> list[Slot]:
        """The one slot, while it is free."""
        return [] if self._work else [self._slot]

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Take `trial`."""
        assert self._work is None, "the inline worker has one slot"
        self._work, self._is_begun, self._until = (trial, attempt, checkpoint), False, None
        return self._slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Remember what `wait` shall train."""
        assert self._work is not None, "nothing to advance"
        assert not self._is_spoiled, "interrupted within a step: discard it"
        self._until = until_epoch

    def discard(self, slot: Slot) -> None:
        """Forget the trial."""
        self._work = self._until = None
        self._is_spoiled = False

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Train what was asked for, here and now; nothing comes of it where `interrupt` ends it."""
        if self._work is None or self._until is None:
            return []
        try:
            return [self._train(*self._work, self._until)]
        except _InterruptedTrainingError:
            self._is_spoiled = True
            return []
        finally:
            self._may_interrupt = False  # after an error that is no Exception, as of a second Ctrl-C
            self._until = None

    def interrupt(self) -> None:
        """End the training that is under way in `wait`, if any, however long its step would take.

        For a signal handler: it runs in the thread that trains, within a step. That trial stands between two
        states then, and can only be discarded.
        """
        if self._may_interrupt:
            self._may_interrupt = False
            raise _InterruptedTrainingError

    def _train(
        self, trial: Trial, attempt: int, checkpoint: Checkpoint | None, until: int
    ) -> Advanced | Lost:
        try:
            self._may_interrupt = True
            if not self._is_begun:
                self._trainer.begin(trial, attempt, checkpoint)
                self._is_begun = True
            stretch = self._trainer.advance(until)
            self._may_interrupt = False
        except CheckpointError as error:
            self._may_interrupt = False
            self.discard(self._slot)
            lost = (trial.key, attempt, str(error))
            return Lost(self._slot, *lost, strike=False, unreadable_checkpoint=True)
        except Exception as error:
            self._may_interrupt = False
            self.discard(self._slot)
            return Lost(self._slot, trial.key, attempt, blame(error), strike=True)
        return Advanced(
            self._slot,
            trial.key,
            attempt,
            stretch.records,
            stretch.outcome,
            stretch.setup_s,
            stretch.test,
            stretch.checkpoint,
            stretch.checkpoint_error,
        )

    def close(self) -> None:
        """Nothing to stop."""
