"""A sweep that this process leads: it writes what a coordinator would, when a test wants it."""

from datetime import UTC, datetime

from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, Origin, Phase, SweepState, Trial, TrialKey, TrialState, WorkerInfo
from sweeper.store import (
    AttemptStarted,
    EpochsRecorded,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)

FACTS = {"data": {"name": "synthetic", "source": "a test", "train": 200, "sha256": "0" * 64}}
LEASE_S = 120.0


class LedSweep:
    """The sweep of `experiment` in `store`, under this process' lease."""

    def __init__(self, store: Store, experiment: Experiment, name: str | None = None) -> None:
        self.experiment = experiment
        self.name = name or experiment.name
        self.store = store
        self._committer = store.create_sweep(
            self.name, experiment.document(), experiment.text, FACTS, LEASE_S
        )

    def writes(self, *writes: Write) -> None:
        """Whatever else a coordinator may write."""
        self._committer.commit(writes)

    def begins(self, optimizer: str, number: int, worker: str = "1/0", **params: float | str) -> TrialKey:
        """A trial of the search is planned and handed to a worker."""
        key = TrialKey(optimizer, Phase.SEARCH, number)
        origin = Origin.PROPOSED if number else Origin.DEFAULT
        values = {"lr": 0.01 * (number + 1), "batch_size": 64, "weight_decay": 0.0, **params}
        trial = Trial(key, 7, values, {}, origin, bool(number), number)
        now = datetime.now(UTC)
        self._committer.commit(
            [TrialPlanned(trial, now), AttemptStarted(key, 1, WorkerInfo(worker, "here", "cpu"), now)]
        )
        return key

    def reports(self, key: TrialKey, epoch: int, val_loss: float) -> None:
        """Its worker has trained an epoch."""
        now = datetime.now(UTC)
        record = EpochRecord(
            epoch=epoch,
            samples=200 * epoch,
            steps=4 * epoch,
            grad_evals=4 * epoch,
            train_loss=val_loss,
            val_loss=val_loss,
            val_accuracy=0.3,
            lr=0.01,
            train_s=0.5,
            eval_s=0.1,
            recorded_at=now,
        )
        seconds = {"setup_s": 0.1, "train_s": 0.5 * epoch, "eval_s": 0.1 * epoch}
        self._committer.commit([EpochsRecorded(key, 1, (record,), **seconds)])

    def ends(self, key: TrialKey, state: TrialState = TrialState.COMPLETE, error: str | None = None) -> None:
        """The trial is over."""
        self._committer.commit([TrialFinished(key, 1, state, datetime.now(UTC), error=error)])

    def trains(self, optimizer: str, number: int, val_loss: float, **params: float | str) -> TrialKey:
        """A whole trial."""
        key = self.begins(optimizer, number, **params)
        for epoch in range(1, self.experiment.budget.epochs + 1):
            self.reports(key, epoch, val_loss)
        self.ends(key)
        return key

    def is_over(self) -> None:
        """The sweep is complete."""
        self._committer.commit([SweepEnded(SweepState.COMPLETE)])
        self.leaves()

    def leaves(self) -> None:
        """The lease is given up, and the sweep with it if it isn't over."""
        self._committer.release()
