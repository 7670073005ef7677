"""A sweep that is being run, as far as its store can tell: its coordinator writes, and nothing is trained."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from generated import ARMS, CHANCE, loss, loss_after, next_number, params

from sweeper.records import EpochRecord, Origin, Phase, SweepState, Trial, TrialKey, TrialState, WorkerInfo
from sweeper.store import (
    AttemptStarted,
    EpochsRecorded,
    Store,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
    WriterThread,
)

LEASE_S = 30.0
"""An experiment's own, where its file says nothing."""

WORKERS = 2
EPOCHS_EACH = 8
"""With an epoch a second and two workers, one of them ends a trial every four seconds."""


@dataclass
class Running:
    """A trial on a worker, and how many epochs of it are recorded."""

    trial: Trial
    worker: WorkerInfo
    last_loss: float
    epochs: int = 0


class Led:
    """The sweep `name`, of which `n_trials` have ended, under a lease of this process.

    The store's own writer thread commits, and prolongs the lease while nothing is written. `planned` tells
    for each trial, by its key, when it stood in the store (Unix time).
    """

    def __init__(self, store: Store, name: str, n_trials: int) -> None:
        self.planned: dict[str, float] = {}
        self._writer = WriterThread(store.take_sweep(name, LEASE_S))
        self._stream = random.Random(0)
        self._number = next_number(n_trials)
        self._n_begun = 0
        self._running: list[Running] = []
        for worker in range(WORKERS):
            running, writes = self._begun(WorkerInfo(f"2/{worker}", "host", "cpu"))
            running.epochs = worker * EPOCHS_EACH // WORKERS  # so that they don't end together
            self._put(writes)
            self._running.append(running)

    @contextlib.contextmanager
    def leading(self) -> Iterator[None]:
        """Write as a coordinator does, beside what is done in the context."""
        stop = threading.Event()
        thread = threading.Thread(target=self._lead, args=[stop], name="led", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def ends(self) -> None:
        """The sweep is complete."""
        self._put([SweepEnded(SweepState.COMPLETE)])

    def close(self) -> None:
        """Give the lease up."""
        self._writer.close()

    def _lead(self, stop: threading.Event) -> None:
        next_at = time.monotonic()
        while not stop.wait(max(next_at - time.monotonic(), 0)):
            next_at += 1.0
            writes: list[Write] = [self._epoch(running) for running in self._running]
            for place, running in enumerate(self._running):
                if running.epochs >= EPOCHS_EACH:
                    writes.append(TrialFinished(running.trial.key, 1, TrialState.COMPLETE, datetime.now(UTC)))
                    self._running[place], begun = self._begun(running.worker)
                    writes += begun
            self._put(writes)

    def _put(self, writes: list[Write]) -> None:
        """Write in one commit, and note what has been planned once it stands in the store."""
        self._writer.put(*writes)
        n_left = len(writes)
        while n_left:
            done = self._writer.acknowledged(timeout_s=1.0)
            n_left -= len(done)
            self.planned |= {str(w.key): time.time() for w in done if isinstance(w, TrialPlanned)}

    def _begun(self, worker: WorkerInfo) -> tuple[Running, list[Write]]:
        """The next trial, and what stores its plan and its start."""
        n, self._n_begun = self._n_begun, self._n_begun + 1
        arm = ARMS[n % len(ARMS)]
        key = TrialKey(arm, Phase.SEARCH, self._number + n // len(ARMS))
        setting = params(arm, self._stream)
        trial = Trial(key, 100_000 + n, setting, setting, Origin.PROPOSED, True, key.number)
        now = datetime.now(UTC)
        last = loss(arm, setting["lr"], self._stream)
        return Running(trial, worker, last), [TrialPlanned(trial, now), AttemptStarted(key, 1, worker, now)]

    def _epoch(self, running: Running) -> EpochsRecorded:
        running.epochs += 1
        epoch, value = running.epochs, loss_after(running.epochs, running.last_loss)
        record = EpochRecord(
            epoch=epoch,
            samples=45_000 * epoch,
            steps=704 * epoch,
            grad_evals=704 * epoch,
            train_loss=value,
            val_loss=value,
            val_accuracy=0.1 + 0.5 * (CHANCE - value) / CHANCE,
            lr=float(running.trial.params["lr"]),
            train_s=0.9,
            eval_s=0.1,
            recorded_at=datetime.now(UTC),
        )
        return EpochsRecorded(running.trial.key, 1, (record,), 0.1, 0.9 * epoch, 0.1 * epoch)
