"""Workers that train nothing: made-up curves at no cost, to test and measure everything else at scale."""

import math
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
    """Keeps the contract of `Workers` with `n_slots` slots, each of which answers at the next `wait`."""

    def __init__(self, experiment: Experiment, n_slots: int = 1, curve: Curve = bowl) -> None:
        self._experiment = experiment
        self._curve = curve
        self._slots = [WorkerInfo(f"simulated-{k}", "this process", "none") for k in range(n_slots)]
        self._work: dict[Slot, tuple[Trial, int]] = {}
        self._epoch: dict[Slot, int] = {}
        self._until: dict[Slot, int] = {}

    def slots(self) -> list[Slot]:
        """The slots without a trial."""
        return [slot for slot in self._slots if slot not in self._work]

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """Take `trial`."""
        free = self.slots()
        slot = next((each for each in free if each != avoid), free[0])
        self._work[slot], self._epoch[slot] = (trial, attempt), checkpoint.epoch if checkpoint else 0
        return slot

    def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
        """Remember how far to go."""
        self._until[slot] = until_epoch

    def discard(self, slot: Slot) -> None:
        """Forget the trial."""
        del self._work[slot]
        self._until.pop(slot, None)

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """Everything that was asked for, done."""
        asked, self._until = self._until, {}
        return [self._advanced(slot, until) for slot, until in asked.items()]

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
            train_s=1e-3,
            eval_s=1e-4,
            recorded_at=datetime.now(UTC),
        )
