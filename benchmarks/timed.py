"""A coordinator's collaborators that keep what they cost, for `scale.py`."""

import contextlib
import time
from collections.abc import Iterator, Mapping

from sweeper.agenda import Agenda
from sweeper.metrics import Meter, Metric
from sweeper.records import Checkpoint, Trial
from sweeper.workers import Advanced, Lost, Slot
from sweeper.workers.simulated import SimulatedWorkers


class TimedAgenda(Agenda):
    """Keeps what each ask took, in seconds."""

    asks: list[float]

    def ask(self) -> Trial | None:
        """As it is asked."""
        begun = time.perf_counter()
        trial = super().ask()
        self.asks.append(time.perf_counter() - begun)
        return trial


class TimedWorkers:
    """Simulated workers that add up what they cost: processor time, and time asleep."""

    def __init__(self, workers: SimulatedWorkers) -> None:
        self._workers = workers
        self.cpu_s = 0.0
        self.asleep_s = 0.0

    def slots(self) -> list[Slot]:
        """As they are."""
        with self._counted():
            return self._workers.slots()

    def start(
        self, trial: Trial, attempt: int, *, checkpoint: Checkpoint | None = None, avoid: Slot | None = None
    ) -> Slot:
        """As they do."""
        with self._counted():
            return self._workers.start(trial, attempt, checkpoint=checkpoint, avoid=avoid)

    def advance(self, slot: Slot, until_epoch: int, limit_s: float) -> None:
        """As they do."""
        with self._counted():
            self._workers.advance(slot, until_epoch, limit_s)

    def discard(self, slot: Slot) -> None:
        """As they do."""
        with self._counted():
            self._workers.discard(slot)

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        """As they do; where nothing happens they sleep."""
        begun = time.perf_counter()
        with self._counted():
            events = self._workers.wait(timeout_s)
        if not events:
            self.asleep_s += time.perf_counter() - begun
        return events

    def close(self) -> None:
        """Nothing to stop."""

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        begun = time.thread_time()
        try:
            yield
        finally:
            self.cpu_s += time.thread_time() - begun


class NoSink:
    """Takes a meter's numbers, and does nothing with them."""

    def set(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """Nothing."""

    def add(self, metric: Metric, amount: float, labels: Mapping[str, str]) -> None:
        """Nothing."""

    def observe(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """Nothing."""


class WritersTime:
    """Processor time of the writer's thread, as of its latest commit."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.commits = 0

    def after(self, seconds: float, meter: Meter) -> None:
        """A commit took `seconds`; told in the writer's thread."""
        meter.committed(seconds)
        self.seconds = time.thread_time()
        self.commits += 1
