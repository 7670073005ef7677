"""The coordinator alone: simulated workers, a store, an inline writer, a clock that stands still."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from threading import Event
from typing import Any

import pytest

from sweeper.agenda import Agenda
from sweeper.clock import Clock, ManualClock
from sweeper.coordinator import Coordinator
from sweeper.errors import FencedError
from sweeper.experiment import Experiment
from sweeper.judging import Judges
from sweeper.pruning import Curve
from sweeper.records import (
    Checkpoint,
    EpochRecord,
    FinalScore,
    Phase,
    StoredTrial,
    SweepState,
    Trial,
    TrialKey,
    TrialState,
)
from sweeper.search import Search
from sweeper.store import (
    AttemptStarted,
    Committer,
    InlineWriter,
    Store,
    TrialPlanned,
    Write,
)
from sweeper.workers import Advanced, Lost, Slot, Workers
from sweeper.workers.simulated import SimulatedWorkers

MakeExperiment = Callable[..., Experiment]


class Watch:
    """Keeps what the coordinator tells."""

    def __init__(self) -> None:
        self.ended: list[tuple[TrialKey, TrialState]] = []
        self.losses: list[tuple[TrialKey, int, str]] = []
        self.notes: list[str] = []
        self.on_end: Callable[[], None] = lambda: None

    def advanced(self, trial: Trial, records: Sequence[EpochRecord]) -> None:
        pass

    def finished(
        self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
    ) -> None:
        self.ended.append((trial.key, state))
        self.on_end()

    def note(self, line: str) -> None:
        self.notes.append(line)

    def finals_chosen(self, n_finals: int, n_left: int) -> None:
        self.finals = (n_finals, n_left)

    def lost(self, key: TrialKey, attempt: int, cause: str) -> None:
        self.losses.append((key, attempt, cause))


class Flaky(SimulatedWorkers):
    """Loses the first `n` attempts at one trial."""

    def __init__(self, experiment: Experiment, key: TrialKey, n: int, strike: bool) -> None:
        super().__init__(experiment, n_slots=2)
        self.key, self.left, self.strike = key, n, strike

    def _advanced(self, slot: Slot, until: int) -> Advanced:
        event = super()._advanced(slot, until)
        if event.key == self.key and self.left:
            self.left -= 1
            self.discard(slot)
            return Lost(slot, event.key, event.attempt, "its process died", self.strike)  # type: ignore[return-value]
        return event


class Converging(SimulatedWorkers):
    """Ends every trial after two epochs, and says so only when asked for more, with nothing to record."""

    def _advanced(self, slot: Slot, until: int) -> Advanced:
        if self._epoch[slot] >= 2:
            trial, attempt = self._work[slot]
            return Advanced(slot, trial.key, attempt, (), TrialState.COMPLETE, setup_s=0.0)
        return super()._advanced(slot, min(until, 2))


def coordinate(
    experiment: Experiment,
    committer: Committer,
    *,
    workers: Workers | None = None,
    known: Sequence[StoredTrial] = (),
    watch: Watch | None = None,
    writer: InlineWriter | None = None,
    curves: Mapping[TrialKey, Curve] | None = None,
    clock: Clock | None = None,
    spent_s: float = 0,
    records: Mapping[TrialKey, tuple[EpochRecord, ...]] | None = None,
    forget: Callable[[TrialKey, Checkpoint | None], None] = lambda key, keep: None,
) -> Coordinator:
    return Coordinator(
        experiment,
        agenda=Agenda(experiment, Search(experiment, known), known),
        judges=Judges(experiment, known, curves or {}),
        workers=workers or SimulatedWorkers(experiment, n_slots=3),
        writer=writer or InlineWriter(committer),
        clock=clock or ManualClock(),
        watcher=watch or Watch(),
        known=known,
        spent_s=spent_s,
        records=records,
        forget=forget,
    )


def new_sweep(store: Store, experiment: Experiment) -> Committer:
    return store.create_sweep("s", experiment.document(), "", {}, 30)


def states(store: Store) -> Counter[str]:
    return Counter(trial.state.value for trial in store.trials("s"))


def n_finished(store: Store) -> int:
    return sum(trial.state.is_finished for trial in store.trials("s"))


def test_every_optimizer_gets_exactly_its_trials(store: Store, tiny: Experiment) -> None:
    assert coordinate(tiny, new_sweep(store, tiny)).run() is SweepState.COMPLETE
    keys = [trial.key for trial in store.trials("s")]
    assert sorted(keys) == sorted(
        TrialKey(arm.name, Phase.SEARCH, number) for arm in tiny.arms for number in range(3)
    )
    assert store.sweep("s").state is SweepState.COMPLETE


def test_trials_that_have_begun_are_balanced_at_any_moment(store: Store, tiny: Experiment) -> None:
    planned: list[str] = []

    class Watched(InlineWriter):
        def put(self, *writes: Write) -> None:
            for write in writes:
                if isinstance(write, TrialPlanned):
                    planned.append(write.key.optimizer)
                    counts = Counter({arm.name: 0 for arm in tiny.arms}) + Counter(planned)
                    numbers = [counts[arm.name] for arm in tiny.arms]
                    assert max(numbers) - min(numbers) <= 1
            super().put(*writes)

    committer = new_sweep(store, tiny)
    coordinate(tiny, committer, writer=Watched(committer)).run()
    assert len(planned) == 18


def test_a_trial_is_handed_out_only_once_it_is_stored(store: Store, tiny: Experiment) -> None:
    class Checked(SimulatedWorkers):
        def start(self, trial: Trial, attempt: int, **options: Any) -> Slot:
            assert trial.key in {stored.key for stored in store.trials("s")}
            return super().start(trial, attempt, **options)

    workers = Checked(tiny, n_slots=3)
    assert coordinate(tiny, new_sweep(store, tiny), workers=workers).run() is SweepState.COMPLETE


def test_a_trial_ends_only_once_its_end_is_stored(store: Store, tiny: Experiment) -> None:
    watch = Watch()

    def check() -> None:
        key, state = watch.ended[-1]
        assert next(t for t in store.trials("s") if t.key == key).state is state

    watch.on_end = check
    coordinate(tiny, new_sweep(store, tiny), watch=watch).run()
    assert len(watch.ended) == 18


def test_a_trial_that_diverges_is_a_result(store: Store, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("optimizers.sgd.lr=0.9", "budget.trials_per_optimizer=2")
    coordinate(experiment, new_sweep(store, experiment)).run()
    trial = next(t for t in store.trials("s") if t.key == TrialKey("sgd", Phase.SEARCH, 1))
    assert (trial.state, trial.epochs, trial.val_loss) == (TrialState.DIVERGED, 1, None)


def test_a_lost_attempt_is_tried_again_with_the_same_setting(store: Store, tiny: Experiment) -> None:
    key = TrialKey("adam", Phase.SEARCH, 1)
    watch = Watch()
    coordinate(tiny, new_sweep(store, tiny), workers=Flaky(tiny, key, n=1, strike=True), watch=watch).run()
    trial = next(t for t in store.trials("s") if t.key == key)
    assert (trial.state, trial.attempt, trial.strikes) == (TrialState.COMPLETE, 2, 1)
    assert watch.losses == [(key, 1, "its process died")]
    assert n_finished(store) == 18


def test_a_trial_that_is_out_of_strikes_fails_and_the_sweep_goes_on(store: Store, tiny: Experiment) -> None:
    key = TrialKey("adam", Phase.SEARCH, 1)
    workers = Flaky(tiny, key, n=99, strike=True)
    assert coordinate(tiny, new_sweep(store, tiny), workers=workers).run() is SweepState.COMPLETE
    trial = next(t for t in store.trials("s") if t.key == key)
    assert (trial.state, trial.attempt, trial.error) == (TrialState.FAILED, 3, "its process died")
    assert n_finished(store) == 18
    assert states(store)["failed"] == 1


def test_losses_that_are_no_strikes_do_not_fail_a_trial(store: Store, tiny: Experiment) -> None:
    key = TrialKey("adam", Phase.SEARCH, 1)
    coordinate(tiny, new_sweep(store, tiny), workers=Flaky(tiny, key, n=5, strike=False)).run()
    trial = next(t for t in store.trials("s") if t.key == key)
    assert (trial.state, trial.attempt, trial.strikes) == (TrialState.COMPLETE, 6, 0)


@pytest.mark.parametrize("stop_after", [1, 4, 9, 15])
def test_an_interrupted_sweep_is_finished_by_its_successor_exactly(
    stop_after: int, store: Store, tiny: Experiment
) -> None:
    watch = Watch()
    committer = new_sweep(store, tiny)
    first = coordinate(tiny, committer, watch=watch)
    stop = Event()
    watch.on_end = lambda: stop.set() if len(watch.ended) == stop_after else None
    assert first.run(stop) is SweepState.INTERRUPTED
    committer.release()
    assert states(store)["running"] == 0
    before = {t.key: t for t in store.trials("s")}

    second = coordinate(tiny, store.take_sweep("s", 30), known=store.trials("s"))
    assert second.run() is SweepState.COMPLETE
    after = {t.key: t for t in store.trials("s")}
    assert n_finished(store) == 18
    for key, trial in before.items():
        assert after[key].trial == trial.trial
        if trial.state.is_finished:
            assert after[key] == trial


def test_a_coordinator_that_is_asked_to_stop_leaves_a_sweep_that_is_finished_exactly(
    store: Store, tiny: Experiment
) -> None:
    watch = Watch()

    def ask() -> None:
        if len(watch.ended) == 5:
            store.ask_to_stop("s")

    watch.on_end = ask
    committer = new_sweep(store, tiny)
    assert coordinate(tiny, committer, watch=watch).run() is SweepState.STOPPED
    assert store.sweep("s").state is SweepState.STOPPED
    assert states(store).keys() <= {"complete", "diverged", "queued"}
    done = {t.key: t for t in store.trials("s") if t.state.is_finished}
    assert 5 <= len(done) < 10
    committer.release()

    again = store.take_sweep("s", 30)
    assert coordinate(tiny, again, known=store.trials("s")).run() is SweepState.COMPLETE
    assert n_finished(store) == len(store.trials("s")) == 18
    assert all(t == done[t.key] for t in store.trials("s") if t.key in done)


def test_a_request_to_stop_that_comes_when_all_is_done_leaves_a_complete_sweep(
    store: Store, tiny: Experiment
) -> None:
    watch = Watch()
    watch.on_end = lambda: len(watch.ended) == 18 and store.ask_to_stop("s") and None
    assert coordinate(tiny, new_sweep(store, tiny), watch=watch).run() is SweepState.COMPLETE
    assert store.sweep("s").state is SweepState.COMPLETE


def test_a_search_that_was_interrupted_proposes_what_an_undisturbed_one_does(
    store: Store, tiny: Experiment
) -> None:
    watch = Watch()
    committer = new_sweep(store, tiny)
    first = coordinate(tiny, committer, watch=watch)
    stop = Event()
    watch.on_end = lambda: stop.set() if len(watch.ended) == 7 else None
    first.run(stop)
    committer.release()
    coordinate(tiny, store.take_sweep("s", 30), known=store.trials("s")).run()

    undisturbed = Search(tiny)
    expected = {trial.key: trial for trial in iter(undisturbed.ask, None)}
    assert {t.key: t.trial for t in store.trials("s")} == expected


def test_a_replaced_coordinator_stops(store: Store, tiny: Experiment) -> None:
    watch = Watch()
    coordinator = coordinate(tiny, new_sweep(store, tiny), watch=watch)

    def expire_and_take_over() -> None:
        if len(watch.ended) == 3:
            with store.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE sweeps SET lease_expires = 1")
            store.take_sweep("s", 30)

    watch.on_end = expire_and_take_over
    with pytest.raises(FencedError):
        coordinator.run()
    assert n_finished(store) == 3


def test_epochs_that_take_long_are_reported_one_by_one(store: Store, make_experiment: MakeExperiment) -> None:
    stops = reported_stops(store, make_experiment("budget.epochs=5"), epoch_s=2.0)
    assert stops == [1, 2, 3, 4, 5]


def test_short_epochs_are_reported_about_once_a_second(store: Store, make_experiment: MakeExperiment) -> None:
    stops = reported_stops(store, make_experiment("budget.epochs=40"), epoch_s=0.1)
    assert stops[0] == 1, "nothing is known of the pace yet"
    assert all(later - earlier <= 10 for earlier, later in pairwise(stops))
    assert len(stops) <= 6


def reported_stops(store: Store, experiment: Experiment, epoch_s: float) -> list[int]:
    """The epochs to which the coordinator sends the first trial, when each epoch takes `epoch_s`."""
    stops: list[int] = []

    class Timed(SimulatedWorkers):
        def _record(self, trial: Trial, epoch: int) -> EpochRecord:
            record = super()._record(trial, epoch)
            fields = {name: getattr(record, name) for name in EpochRecord.__slots__}
            return EpochRecord(**{**fields, "train_s": epoch_s, "eval_s": 0.0})

        def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
            if self._work[slot][0].key == TrialKey("sgd", Phase.SEARCH, 0):
                stops.append(until_epoch)
            super().advance(slot, until_epoch, limit_s)

    coordinate(experiment, new_sweep(store, experiment), workers=Timed(experiment)).run()
    return stops


@pytest.mark.parametrize(("epoch_s", "most"), [(1.0, 1), (0.03, 2), (1e-3, 6)])
def test_one_queued_trial_per_worker_waits_and_more_where_trials_are_over_at_once(
    store: Store, make_experiment: MakeExperiment, epoch_s: float, most: int
) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=20", "final.top_k=0")
    waiting: list[int] = []
    planned = started = 0

    class Watched(InlineWriter):
        def put(self, *writes: Write) -> None:
            nonlocal planned, started
            for write in writes:
                planned += isinstance(write, TrialPlanned)
                started += isinstance(write, AttemptStarted)
            waiting.append(planned - started)
            super().put(*writes)

    committer = new_sweep(store, experiment)
    workers = SimulatedWorkers(experiment, n_slots=3, epoch_s=epoch_s)
    coordinate(experiment, committer, writer=Watched(committer), workers=workers).run()
    assert max(waiting) == 3 * most


def test_a_large_crew_has_few_trials_planned_in_advance(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=25", "budget.epochs=3", "final.top_k=0")
    in_advance: list[int] = []

    class Watched(SimulatedWorkers):
        def wait(self, timeout_s: float) -> list[Advanced | Lost]:
            if not self._free:
                in_advance.append(sum(trial.state is TrialState.QUEUED for trial in store.trials("s")))
            return super().wait(timeout_s)

    workers = Watched(experiment, n_slots=100, at_once=1, epoch_s=20.0)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    assert n_finished(store) == 150
    assert max(in_advance) == 25, "100 workers, a trial a minute each, in 15 s"


def test_what_workers_told_need_not_wait_until_all_are_asked_for(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.trials_per_optimizer=30", "final.top_k=0")
    planned = [0]

    class Watched(InlineWriter):
        def put(self, *writes: Write) -> None:
            planned[-1] += sum(isinstance(write, TrialPlanned) for write in writes)
            super().put(*writes)

        def acknowledged(self, timeout_s: float = 0) -> list[Write]:
            planned.append(0)
            return super().acknowledged(timeout_s)

    committer = new_sweep(store, experiment)
    workers = SimulatedWorkers(experiment, n_slots=100)
    coordinate(experiment, committer, writer=Watched(committer), workers=workers).run()
    assert max(planned) == 32
    assert n_finished(store) == sum(planned) == 180


def test_a_trial_that_turns_out_to_be_over_is_complete_with_the_epochs_it_had(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.epochs=10")
    committer = new_sweep(store, experiment)
    workers = Converging(experiment, n_slots=2, curve=lambda trial, epoch: 1.0)
    assert coordinate(experiment, committer, workers=workers).run() is SweepState.COMPLETE
    trials = store.trials("s")
    assert {(t.state, t.epochs) for t in trials} == {(TrialState.COMPLETE, 2)}
    assert len(trials) == experiment.n_trials
