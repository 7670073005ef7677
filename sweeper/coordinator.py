"""The one process that asks for trials, hands them out, records what comes back and decides.

Its collaborators are passed in: what there is to train (the agenda), who gives trials up (the judges), the
workers, the writer and the clock. It acts on the writer's acknowledgements only: a trial is handed out once
it is stored, and over once its end is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING

from sweeper.crashpoints import Point, reach
from sweeper.errors import ClusterError
from sweeper.experiment import Experiment
from sweeper.pacing import Pace, TimeLimit
from sweeper.records import (
    Checkpoint,
    EpochRecord,
    FinalScore,
    Phase,
    StoredTrial,
    SweepState,
    TrialKey,
    TrialState,
)
from sweeper.runs import Run, Waiting
from sweeper.store.writes import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    FinalsChosen,
    SweepEnded,
    TrialFinished,
    TrialPlanned,
    Write,
)
from sweeper.workers import Advanced, Lost, Slot

if TYPE_CHECKING:
    from sweeper.agenda import Agenda
    from sweeper.clock import Clock
    from sweeper.judging import Judges
    from sweeper.store import Writer
    from sweeper.watcher import Watcher
    from sweeper.workers import Workers

INTERRUPTED = "interrupted"
"""Why an attempt ended that was given up with its sweep."""

ASKED_AT_ONCE = 32
"""So many trials at most are asked for before workers and store are looked at again."""

PATIENCE_S = 0.25
"""How long one look at the workers may take: so soon a stop is noticed."""

HURRY_S = 0.005
"""The same while a worker is idle only because a commit is under way."""


class Coordinator:
    """Runs one sweep from where the store left it to its end.

    `known` are the trials that the store already holds; their finished ones are left as they are, the others
    are trained again as a new attempt: from their checkpoint on, up to which `records` are what they have
    recorded, or from their first epoch. `forget` removes a trial's checkpoint files but one. `spent_s` is
    what the sweep has used of `budget.max_seconds` already.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        agenda: "Agenda",
        judges: "Judges",
        workers: "Workers",
        writer: "Writer",
        clock: "Clock",
        watcher: "Watcher",
        known: Iterable[StoredTrial] = (),
        records: Mapping[TrialKey, tuple[EpochRecord, ...]] | None = None,
        forget: Callable[[TrialKey, Checkpoint | None], None] = lambda key, keep: None,
        spent_s: float = 0,
    ) -> None:
        self._experiment = experiment
        self._agenda = agenda
        self._judges = judges
        self._workers = workers
        self._writer = writer
        self._clock = clock
        self._watcher = watcher
        self._forget = forget
        unfinished = [Run.stored(each, records or {}) for each in known if not each.state.is_finished]
        self._queue = Waiting(run for run in unfinished if run.trial.key.phase is Phase.SEARCH)
        self._unfinished_finals = [run for run in unfinished if run.trial.key.phase is Phase.FINAL]
        self._limit = TimeLimit(experiment.budget.max_seconds, spent_s, clock)
        self._running: dict[Slot, Run] = {}
        self._unstored: dict[TrialKey, Run] = {}
        first_rung = min(experiment.pruning.rungs, default=None)
        self._pace = Pace(experiment.budget.epochs, experiment.resources.hang_factor, first_rung)
        self._has_warned = False
        self._heard: Sequence[Advanced | Lost] = ()
        self._stop = Event()

    def run(self, stop: Event | None = None) -> SweepState:
        """Run to the end, and tell how it ended.

        COMPLETE; STOPPED where `budget.max_seconds` were over before everything was handed out, or the store
        holds a request to stop; INTERRUPTED soon after `stop` is set. The latter two leave a sweep to be
        resumed.

        Raises FencedError where another coordinator took over, StoreError and ClusterError.
        """
        self._stop = stop or self._stop
        try:
            return self._run()
        except ClusterError:
            self._give_up_running()
            raise

    def _run(self) -> SweepState:
        while not self._stop.is_set():
            with self._writer.gathering():
                if (ended := self._go_on()) is not None:
                    return ended
            self._heard = self._listen()
        with self._writer.gathering():
            self._take_in()
            self._give_up_running()
        return SweepState.INTERRUPTED

    def _go_on(self) -> SweepState | None:
        """Act on what was heard, until only waiting is left to do; tells how the sweep ended, if it did."""
        self._take_in()
        self._acknowledge(0)
        is_asked_to_stop = self._writer.is_asked_to_stop
        if is_asked_to_stop:
            self._give_up_running()
        is_over = is_asked_to_stop or self._limit.is_over
        if not is_over:
            self._hand_out()  # before anything is asked for: that may take long, and workers wait
        self._ask_ahead()
        if self._running or self._unstored or (self._queue and not is_over):
            return None
        # What could not be handed out any more waits in the queue: nothing there, nothing left out.
        ended = SweepState.STOPPED if self._queue else SweepState.COMPLETE
        self._writer.put(SweepEnded(ended))
        return ended

    def _listen(self) -> Sequence[Advanced | Lost]:
        """Wait for a worker, or, where none has work, for the store."""
        if not self._writer.has_room or not (self._running or self._queue):
            self._acknowledge(PATIENCE_S)
            return ()
        is_waiting_for_store = bool(self._unstored) and bool(self._workers.slots())
        return self._workers.wait(HURRY_S if is_waiting_for_store else PATIENCE_S)

    def _take_in(self) -> None:
        """Act on what workers told."""
        heard, self._heard = self._heard, ()
        for event in heard:
            if isinstance(event, Advanced):
                self._on_advanced(event)
            else:
                self._on_lost(event)

    def _ask_ahead(self) -> None:
        """Keep stored trials in hand; some at a time, so that what comes meanwhile need not wait for all."""
        n_free = len(self._workers.slots())
        n_wanted = max(n_free, self._pace.n_ahead(max(len(self._running) + n_free, 1)))
        n_planned = sum(not run.attempt for run in self._unstored.values())
        n_most = n_planned + ASKED_AT_ONCE
        while len(self._queue) + n_planned < n_wanted and n_planned < n_most:
            trial = self._agenda.ask()
            if trial is None and self._agenda.awaits_choice:
                self._choose_finals()
            elif trial is None:
                return
            else:
                n_planned += 1
                self._unstored[trial.key] = Run(trial)
                self._writer.put(TrialPlanned(trial, queued_at=self._clock.now()))

    def _choose_finals(self) -> None:
        """The search is over: choose the settings for finals, and take up those that were begun earlier."""
        chosen = self._agenda.choose()
        self._writer.put(FinalsChosen(chosen, self._clock.now()))
        begun = [r for r in self._unfinished_finals if r.trial.setting in chosen[r.trial.key.optimizer]]
        self._queue.add(*begun)
        self._watcher.finals_chosen(self._agenda.n_finals, self._agenda.n_finals_left + len(begun))

    def _hand_out(self) -> None:
        while free := self._workers.slots():
            run = self._queue.next_for(free, n_workers=len(self._running) + len(free))
            if run is None:
                return
            self._limit.begin()
            reach(Point.BEFORE_DISPATCH)
            run.begin()
            slot = self._workers.start(run.trial, run.attempt, checkpoint=run.checkpoint, avoid=run.lost_on)
            self._running[slot] = run
            before = tuple(run.records)
            self._writer.put(AttemptStarted(run.trial.key, run.attempt, slot, self._clock.now(), before))
            self._advance(slot, run)
            reach(Point.AFTER_DISPATCH)

    def _advance(self, slot: Slot, run: Run) -> None:
        """Send the worker on: a stretch ahead, at most to the trial's next rung."""
        optimizer = run.trial.key.optimizer
        stop = run.epoch + self._pace.stretch(optimizer, run.records, run.batch_size)
        rung = self._judges.next_rung(run.trial, run.epoch)
        until = min(stop, rung) if rung else stop
        limit_s = self._pace.limit_s(optimizer, run.records, until - run.epoch, run.batch_size)
        self._workers.advance(slot, until, limit_s)

    def _on_advanced(self, event: Advanced) -> None:
        run = self._running[event.slot]
        run.records += event.records
        writes: list[Write] = []
        if event.records:
            self._pace.learn(event.key.optimizer, run.records, run.batch_size)
            writes.append(run.recorded(event.records, event.setup_s))
            self._watcher.advanced(run.trial, event.records)
        if event.checkpoint is not None:
            run.checkpoint = event.checkpoint
            writes.append(CheckpointSaved(event.key, event.checkpoint))
        if event.checkpoint_error is not None:
            self._warn_once(event.checkpoint_error)
        outcome = event.outcome
        if outcome is None and self._judges.should_prune(run.trial, run.records):
            outcome = TrialState.PRUNED
        # Records and decision in one transaction: a stored rung of a trial that goes on was passed.
        if outcome is None:
            self._advance(event.slot, run)
            self._writer.put(*writes)
        else:
            self._workers.discard(event.slot)
            self._running.pop(event.slot)
            self._end(run, *writes, state=outcome, test=event.test)

    def _warn_once(self, error: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._watcher.note(f"{error}; trials go on without checkpoints")

    def _end(
        self,
        run: Run,
        *writes: Write,
        state: TrialState,
        error: str | None = None,
        test: FinalScore | None = None,
    ) -> None:
        self._unstored[run.trial.key] = run
        end = TrialFinished(run.trial.key, run.attempt, state, self._clock.now(), error, test)
        self._writer.put(*writes, end)

    def _on_lost(self, event: Lost) -> None:
        run = self._running.pop(event.slot)
        if self._stop.is_set():  # that may be what killed the worker: a terminal's Ctrl-C goes to all
            self._end_attempt(run, INTERRUPTED, strike=False)
            return
        run.strikes += event.strike
        run.lost_on = event.slot
        if event.unreadable_checkpoint:
            run.checkpoint = None
        self._watcher.lost(event.key, event.attempt, event.cause)
        if run.strikes >= self._experiment.resources.attempts:
            self._end(run, state=TrialState.FAILED, error=event.cause)
        else:
            self._unstored[event.key] = run
            self._end_attempt(run, event.cause, event.strike)

    def _end_attempt(self, run: Run, why: str, strike: bool) -> None:
        self._writer.put(AttemptEnded(run.trial.key, run.attempt, why, strike, self._clock.now()))

    def _acknowledge(self, timeout_s: float) -> None:
        for write in self._writer.acknowledged(timeout_s):
            reach(Point.BEFORE_ACKNOWLEDGEMENT)
            self._on_stored(write)
            reach(Point.AFTER_ACKNOWLEDGEMENT)

    def _on_stored(self, write: Write) -> None:
        if isinstance(write, TrialPlanned | AttemptEnded):
            self._queue.add(self._unstored.pop(write.key))
        elif isinstance(write, CheckpointSaved):
            self._forget(write.key, write.checkpoint)
        elif isinstance(write, TrialFinished):
            self._forget(write.key, None)
            run = self._unstored.pop(write.key)
            last = run.records[-1] if run.records else None
            self._judges.ended(run.trial, write.state, run.records)
            self._agenda.tell(run.trial, write.state, last)
            self._watcher.finished(run.trial, write.state, last, write.test)

    def _give_up_running(self) -> None:
        for slot, run in self._running.items():
            self._workers.discard(slot)
            self._unstored[run.trial.key] = run
            self._end_attempt(run, INTERRUPTED, strike=False)
        self._running = {}
