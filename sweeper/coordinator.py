"""The one process that asks for trials, hands them out, records what comes back and decides.

Its collaborators are passed in: the search, the workers, the writer and the clock. It acts on the writer's
acknowledgements only: a trial is handed out once it is stored, and over once its end is.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Protocol

from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, StoredTrial, SweepState, Trial, TrialKey, TrialState
from sweeper.store.writes import (
    AttemptEnded,
    AttemptStarted,
    EpochsRecorded,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)
from sweeper.workers import Advanced, Lost, Slot

if TYPE_CHECKING:
    from sweeper.clock import Clock
    from sweeper.search import Search
    from sweeper.store import Writer
    from sweeper.workers import Workers

STRETCH_S = 1.0
"""About how long a worker trains before it reports: the store is never older than that."""

PATIENCE_S = 0.25
"""How long one look at the workers may take: so soon a stop is noticed."""

HURRY_S = 0.005
"""The same while a worker is idle only because a commit is under way."""


class Watcher(Protocol):
    """Is told how the sweep goes: a progress display, a log."""

    def advanced(self, trial: Trial, record: EpochRecord) -> None:
        """A trial reported an epoch."""
        ...

    def finished(self, trial: Trial, state: TrialState, last: EpochRecord | None) -> None:
        """A trial ended and its end is stored."""
        ...

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        """An attempt was lost."""
        ...


@dataclass(slots=True)
class _Run:
    """A trial's progress: its attempts so far and what the current one has reported."""

    trial: Trial
    attempt: int = 0
    strikes: int = 0
    records: list[EpochRecord] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        return self.records[-1].epoch if self.records else 0

    @property
    def seconds(self) -> float:
        return sum(record.train_s + record.eval_s for record in self.records)


class Coordinator:
    """Runs one sweep from where the store left it to its end.

    `known` are the trials that the store already holds; their finished ones are left as they are, the others
    are trained again from their first epoch, as a new attempt.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        search: "Search",
        workers: "Workers",
        writer: "Writer",
        clock: "Clock",
        watcher: Watcher,
        known: Iterable[StoredTrial] = (),
    ) -> None:
        self._experiment = experiment
        self._search = search
        self._workers = workers
        self._writer = writer
        self._clock = clock
        self._watcher = watcher
        self._queue: deque[_Run] = deque(
            _Run(stored.trial, stored.attempt, stored.strikes)
            for stored in known
            if not stored.state.is_finished
        )
        self._running: dict[Slot, _Run] = {}
        self._unstored: dict[TrialKey, _Run] = {}
        self._pace_s: dict[str, float] = {}

    def run(self, stop: Event | None = None) -> SweepState:
        """Run to the end: COMPLETE, or INTERRUPTED soon after `stop` is set, leaving a sweep to be resumed.

        Raises FencedError where another coordinator took over, StoreError and ClusterError.
        """
        try:
            return self._run(stop or Event())
        except ClusterError:
            self._give_up_running()
            raise

    def _run(self, stop: Event) -> SweepState:
        while not stop.is_set():
            self._acknowledge(0)
            self._ask_ahead()
            self._hand_out()
            if not (self._running or self._queue or self._unstored):
                self._writer.put(SweepEnded(SweepState.COMPLETE))
                return SweepState.COMPLETE
            self._listen()
        self._give_up_running()
        return SweepState.INTERRUPTED

    def _listen(self) -> None:
        """Wait for a worker, or, where none has work, for the store."""
        if not self._running and not self._queue:
            self._acknowledge(PATIENCE_S)
            return
        is_waiting_for_store = bool(self._unstored) and bool(self._workers.slots())
        for event in self._workers.wait(HURRY_S if is_waiting_for_store else PATIENCE_S):
            if isinstance(event, Advanced):
                self._on_advanced(event)
            else:
                self._on_lost(event)

    def _ask_ahead(self) -> None:
        """Keep one stored trial per worker in hand, so that none waits for a proposal or a commit."""
        n_workers = len(self._running) + len(self._workers.slots())
        while len(self._queue) + len(self._planned()) < max(n_workers, 1):
            trial = self._search.ask()
            if trial is None:
                return
            self._unstored[trial.key] = _Run(trial)
            self._writer.put(TrialPlanned(trial, queued_at=self._clock.now()))

    def _planned(self) -> list[_Run]:
        return [run for run in self._unstored.values() if not run.attempt]

    def _hand_out(self) -> None:
        for _ in range(min(len(self._queue), len(self._workers.slots()))):
            run = self._queue.popleft()
            run.attempt += 1
            run.records = []
            slot = self._workers.start(run.trial, run.attempt)
            self._running[slot] = run
            self._writer.put(
                AttemptStarted(run.trial.key, run.attempt, slot, first_epoch=1, started_at=self._clock.now())
            )
            self._workers.advance(slot, self._next_stop(run))

    def _next_stop(self, run: _Run) -> int:
        """The epoch at which the trial reports next: about a second ahead, at least one epoch.

        It may lie beyond the trial's end, which the worker knows: a rule may have a budget of its own.
        """
        pace_s = (
            run.seconds / run.epoch if run.epoch else self._pace_s.get(run.trial.key.optimizer, STRETCH_S)
        )
        stretch = max(1, int(STRETCH_S / pace_s)) if pace_s > 0 else self._experiment.budget.epochs
        return run.epoch + stretch

    def _on_advanced(self, event: Advanced) -> None:
        run = self._running[event.slot]
        run.records += event.records
        if event.records:
            self._record(event, run)
        if event.outcome is not None:
            self._finish(event.slot, event.outcome)
        else:
            self._workers.advance(event.slot, self._next_stop(run))

    def _record(self, event: Advanced, run: _Run) -> None:
        self._pace_s[event.key.optimizer] = run.seconds / run.epoch
        self._writer.put(
            EpochsRecorded(
                event.key,
                event.attempt,
                event.records,
                setup_s=event.setup_s,
                train_s=sum(record.train_s for record in run.records),
                eval_s=sum(record.eval_s for record in run.records),
            )
        )
        self._watcher.advanced(run.trial, event.records[-1])

    def _finish(self, slot: Slot, state: TrialState) -> None:
        run = self._running.pop(slot)
        self._workers.discard(slot)
        self._end(run, state)

    def _end(self, run: _Run, state: TrialState, error: str | None = None) -> None:
        self._unstored[run.trial.key] = run
        self._writer.put(TrialFinished(run.trial.key, run.attempt, state, self._clock.now(), error))

    def _on_lost(self, event: Lost) -> None:
        run = self._running.pop(event.slot)
        run.strikes += event.strike
        self._watcher.lost(event.key, event.attempt, event.cause)
        if run.strikes >= self._experiment.resources.attempts:
            self._end(run, TrialState.FAILED, event.cause)
        else:
            self._unstored[event.key] = run
            self._end_attempt(run, event.cause, event.strike)

    def _end_attempt(self, run: _Run, why: str, strike: bool) -> None:
        self._writer.put(AttemptEnded(run.trial.key, run.attempt, why, strike, self._clock.now()))

    def _acknowledge(self, timeout_s: float) -> None:
        for write in self._writer.acknowledged(timeout_s):
            self._on_stored(write)

    def _on_stored(self, write: Write) -> None:
        if isinstance(write, TrialPlanned | AttemptEnded):
            self._queue.append(self._unstored.pop(write.key))
        elif isinstance(write, TrialFinished):
            run = self._unstored.pop(write.key)
            last = run.records[-1] if run.records else None
            value = getattr(last, self._experiment.objective) if last else None
            self._search.tell(run.trial, write.state, value)
            self._watcher.finished(run.trial, write.state, last)

    def _give_up_running(self) -> None:
        for slot, run in self._running.items():
            self._workers.discard(slot)
            self._end_attempt(run, "interrupted", strike=False)
        self._running = {}
