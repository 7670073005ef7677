"""Workers that train nothing: made-up curves at no cost, to test and measure everything else at scale."""

import itertools
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sweeper.experiment import Experiment
from sweeper.records import Checkpoint, EpochRecord, FinalScore, Phase, Trial, TrialState, WorkerInfo
from sweeper.workers.protocol import Advanced, Lost, Slot

Curve = Callable[[Trial, int], float]
"""The validation loss of a trial after an epoch."""


def bowl(trial: Trial, epoch: int) -> float:
    """A loss that falls with the epochs, least where the learning rate is 0.01; infinite from 0.5 on."""
    lr = float(trial.params.get("lr", 1.0))
    return math.inf if lr >= 0.5 else 0.5 + abs(math.log10(lr) + 2) / 4 + 1 / (epoch + 1)


class SimulatedWorkers:
    """Keeps the contract of `Workers` with `n_slots` slots.

    At each `wait` up to `at_once` of them answer, in the order in which they were asked. Epochs are said to
    take `epoch_s`, by which the coordinator decides how far to send a worker.
    """

    def __init__(
        self,
        experiment: Experiment,
        n_slots: int = 1,
        curve: Curve = bowl,
        *,
        at_once: int | None = None,
        epoch_s: float = 1.1e-3,
    ) -> None:
        self._experiment = experiment
        self._curve = curve
        self._at_once = at_once
        self._epoch_s = epoch_s
        slots = [WorkerInfo(f"simulated-{k}", "this process", "none") for k in range(n_slots)]
        self._free = dict.fromkeys(slots)
        self._work: dict[Slot, tuple[Trial, int]] = {}
        self._epoch: dict[Slot, int] = {}
        self._until: dict[Slot, int] = {}

    def slots(self) -> list[Slot]:
        """The slots without a trial."""
        return list(self._free)

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Take `trial`."""
        slot = next((each for each in self._free if each != avoid), avoid)
        assert slot is not None, "there is a free one"
        del self._free[slot]
        self._work[slot], self._epoch[slot] = (trial, attempt), checkpoint.epoch if checkpoint else 0
        return slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Remember how far to go."""
        self._until[slot] = until_epoch

    def discard(self, slot: Slot) -> None:
        """Forget the trial."""
        del self._work[slot]
        self._until.pop(slot, None)
        self._free[slot] = None

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """What was asked for first, done."""
        if not self._until:
            time.sleep(timeout_s)
        asked = list(itertools.islice(self._until, self._at_once))
        return [self._advanced(slot, self._until.pop(slot)) for slot in asked]

    def close(self) -> None:
        """Nothing to stop."""

    def _advanced(self, slot: Slot, until: int) -> Advanced:
        trial, attempt = self._work[slot]
        records = []
        outcome = None
        while self._epoch[slot] < until and outcome is None:
            self._epoch[slot] += 1
            records.append(self._record(trial, self._epoch[slot]))
            if not math.isfinite(records[-1].train_loss):
                outcome = TrialState.DIVERGED
            elif self._epoch[slot] >= self._experiment.budget.epochs:
                outcome = TrialState.COMPLETE
        test = None
        if outcome is TrialState.COMPLETE and trial.key.phase is Phase.FINAL:
            loss = self._curve(trial, self._epoch[slot])
            test = FinalScore(loss, math.exp(-loss))
        saved = self._checkpoint(records, attempt) if outcome is None else None
        done = (tuple(records), outcome, 0.0, test, saved)
        return Advanced(slot, trial.key, attempt, *done)

    def _checkpoint(self, records: list[EpochRecord], attempt: int) -> Checkpoint | None:
        """The latest one that a real worker would have saved on its way through these epochs."""
        every = self._experiment.checkpoint.every_epochs
        due = [record.epoch for record in records if every and record.epoch % every == 0]
        return Checkpoint(attempt, due[-1]) if due else None

    def _record(self, trial: Trial, epoch: int) -> EpochRecord:
        loss = self._curve(trial, epoch)
        samples = epoch * self._experiment.data.train_size
        steps = math.ceil(samples / float(trial.params.get("batch_size", samples)))
        return EpochRecord(
            epoch=epoch,
            samples=samples,
            steps=steps,
            grad_evals=steps,
            train_loss=loss,
            val_loss=loss,
            val_accuracy=math.exp(-loss),
            lr=float(trial.params.get("lr", 1.0)),
            train_s=self._epoch_s * 10 / 11,
            eval_s=self._epoch_s / 11,
            recorded_at=datetime.now(UTC),
        )
