"""Attempts as the coordinator handles them: retried elsewhere, from checkpoints, hung ones given a limit."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from test_coordinator import Watch, coordinate, new_sweep

from sweeper.experiment import Experiment
from sweeper.experiment.sections import Checkpoint as CheckpointSection
from sweeper.pacing import Pace
from sweeper.records import Checkpoint, EpochRecord, Phase, SweepState, Trial, TrialKey, TrialState
from sweeper.runs import Run, Waiting
from sweeper.store import Store
from sweeper.workers import Advanced, Lost, Slot
from sweeper.workers.simulated import SimulatedWorkers

MakeExperiment = Callable[..., Experiment]
MakeRecord = Callable[..., EpochRecord]
KEY = TrialKey("adam", Phase.SEARCH, 1)


def with_checkpoints(experiment: Experiment, every: int) -> Experiment:
    return replace(experiment, checkpoint=CheckpointSection(every_epochs=every, directory="somewhere"))


class Losing(SimulatedWorkers):
    """Reports one epoch at a time; loses the attempts at `KEY` that `loses` names, at that epoch."""

    def __init__(self, experiment: Experiment, loses: dict[int, int], n_slots: int = 1, **how: Any) -> None:
        super().__init__(experiment, n_slots)
        self.loses, self.how = loses, how
        self.starts: list[tuple[int, Checkpoint | None, Slot]] = []

    def start(self, trial: Trial, attempt: int, **options: Any) -> Slot:
        slot = super().start(trial, attempt, **options)
        if trial.key == KEY:
            self.starts.append((attempt, options["checkpoint"], slot))
        return slot

    def _advanced(self, slot: Slot, until: int) -> Advanced | Lost:  # type: ignore[override]
        trial, attempt = self._work[slot]
        if trial.key == KEY and self.loses.get(attempt) == self._epoch[slot]:
            self.discard(slot)
            return Lost(slot, trial.key, attempt, "its process died", **{"strike": True, **self.how})
        return super()._advanced(slot, self._epoch[slot] + 1)


def epochs_recorded(store: Store) -> list[tuple[int, int]]:
    """The attempts and epochs of `KEY`'s records, in order."""
    query = (
        "SELECT e.attempt, e.epoch FROM epochs e JOIN trials t ON t.id = e.trial_id "
        "WHERE t.optimizer = 'adam' AND t.number = 1 AND t.phase = 'search' ORDER BY 1, 2"
    )
    with store.engine.connect() as connection:
        return [(attempt, epoch) for attempt, epoch in connection.exec_driver_sql(query)]


def test_an_attempt_goes_on_from_the_checkpoint_of_the_one_that_was_lost(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = with_checkpoints(make_experiment("budget.epochs=7"), every=2)
    workers = Losing(experiment, {1: 5, 2: 4})
    forgotten: list[tuple[TrialKey, Checkpoint | None]] = []
    coordinator = coordinate(
        experiment,
        new_sweep(store, experiment),
        workers=workers,
        forget=lambda key, keep: forgotten.append((key, keep)),
    )
    assert coordinator.run() is SweepState.COMPLETE
    assert [start[:2] for start in workers.starts] == [
        (1, None),
        (2, Checkpoint(1, 4)),
        (3, Checkpoint(1, 4)),
    ]
    assert epochs_recorded(store) == [(1, n) for n in range(1, 6)] + [(3, n) for n in (5, 6, 7)]
    trial = next(t for t in store.trials("s") if t.key == KEY)
    assert (trial.state, trial.epochs, trial.strikes) == (TrialState.COMPLETE, 7, 2)
    mine = [keep for key, keep in forgotten if key == KEY]
    assert mine == [Checkpoint(1, 2), Checkpoint(1, 4), Checkpoint(3, 6), None]


def test_a_checkpoint_that_cannot_be_read_costs_no_strike_and_is_not_tried_again(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = with_checkpoints(make_experiment("budget.epochs=3", "resources.attempts=2"), every=1)

    class Unreadable(Losing):
        def _advanced(self, slot: Slot, until: int) -> Advanced | Lost:  # type: ignore[override]
            trial, attempt = self._work[slot]
            if trial.key == KEY and attempt == 2:
                self.discard(slot)
                return Lost(slot, trial.key, 2, "unreadable", strike=False, unreadable_checkpoint=True)
            return super()._advanced(slot, until)

    workers = Unreadable(experiment, {1: 2})
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    assert [start[:2] for start in workers.starts] == [(1, None), (2, Checkpoint(1, 2)), (3, None)]
    assert epochs_recorded(store) == [(1, 1), (1, 2), (3, 1), (3, 2), (3, 3)]
    trial = next(t for t in store.trials("s") if t.key == KEY)
    assert (trial.state, trial.strikes) == (TrialState.COMPLETE, 1)


def test_a_successor_goes_on_from_the_stored_checkpoint_with_the_stored_records(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = with_checkpoints(make_experiment("budget.epochs=6"), every=2)
    committer = new_sweep(store, experiment)

    class Dying(Losing):
        def _advanced(self, slot: Slot, until: int) -> Advanced | Lost:  # type: ignore[override]
            if self._work[slot][0].key == KEY and self._epoch[slot] == 5:
                raise KeyboardInterrupt
            return super()._advanced(slot, until)

    with pytest.raises(KeyboardInterrupt):
        coordinate(experiment, committer, workers=Dying(experiment, {})).run()
    committer.release()
    taken = store.take_sweep("s", 30)
    workers = Losing(experiment, {})
    second = coordinate(
        experiment, taken, workers=workers, known=store.trials("s"), records=store.records("s")
    )
    assert second.run() is SweepState.COMPLETE
    assert [start[:2] for start in workers.starts] == [(2, Checkpoint(1, 4))]
    assert epochs_recorded(store) == [(1, n) for n in range(1, 6)] + [(2, 5), (2, 6)]


def test_a_lost_attempt_is_retried_on_another_worker_and_waits_for_it(store: Store, tiny: Experiment) -> None:
    workers = Losing(tiny, {1: 0, 2: 0}, n_slots=3)
    coordinate(tiny, new_sweep(store, tiny), workers=workers).run()
    first, second, third = [slot for _, _, slot in workers.starts]
    assert first != second
    assert second != third


def test_a_waiting_trial_lets_others_pass_to_the_worker_that_lost_it(
    make_trial: Callable[..., Trial],
) -> None:
    bad, good = (replace(slot) for slot in SimulatedWorkers(None, 2).slots())  # type: ignore[arg-type]
    lost, fresh = Run(make_trial("sgd", 0), lost_on=bad), Run(make_trial("sgd", 1))
    waiting = Waiting([lost, fresh])
    assert waiting.next_for([bad], n_workers=2) is fresh
    assert waiting.next_for([bad], n_workers=2) is None
    assert waiting.next_for([good], n_workers=2) is lost
    waiting.add(lost)
    assert waiting.next_for([bad], n_workers=1) is lost, "there is no other"


def test_a_checkpoint_that_cannot_be_saved_is_told_once_and_trials_go_on(
    store: Store, tiny: Experiment
) -> None:
    class Full(SimulatedWorkers):
        def _advanced(self, slot: Slot, until: int) -> Advanced:
            return replace(super()._advanced(slot, until), checkpoint_error="checkpoint x: no space left")

    watch = Watch()
    ended = coordinate(tiny, new_sweep(store, tiny), workers=Full(tiny), watch=watch).run()
    assert ended is SweepState.COMPLETE
    assert watch.notes == ["checkpoint x: no space left; trials go on without checkpoints"]


def records(make_record: MakeRecord, *epochs: int, seconds: float) -> Sequence[EpochRecord]:
    """Records at those epochs, each of which took `seconds`."""
    return [replace(make_record(epoch), train_s=seconds, eval_s=0.0) for epoch in epochs]


def test_a_worker_hangs_after_hang_factor_times_what_its_trial_should_take(make_record: MakeRecord) -> None:
    pace = Pace(10, hang_factor=20)
    assert pace.limit_s("sgd", [], 1) == 20 * 60, "nothing is known yet"
    known = records(make_record, 1, 2, seconds=3.0)
    assert pace.limit_s("sgd", known, 2) == 20 * 6.0
    pace.learn("sgd", known)
    assert pace.limit_s("sgd", [], 1) == 20 * 3.0, "as its optimizer's trials so far"
    assert pace.limit_s("adam", [], 1) == 20 * 60
    assert pace.limit_s("sgd", records(make_record, 1, seconds=1e-3), 5) == 20, "a busy machine"
    assert Pace(10, hang_factor=2).limit_s("sgd", records(make_record, 1, seconds=1e-3), 5) == 10


def test_a_large_crew_has_as_many_trials_in_hand_as_end_within_seconds(make_record: MakeRecord) -> None:
    pace = Pace(12, hang_factor=20)
    assert (pace.n_ahead(3), pace.n_ahead(1000)) == (3, 16), "nothing is known yet"
    pace.learn("sgd", records(make_record, 1, seconds=5.0))
    assert (pace.n_ahead(3), pace.n_ahead(40), pace.n_ahead(1000)) == (3, 16, 250), "one in a minute each"
    pace.learn("adam", records(make_record, 1, seconds=1.0))
    assert pace.n_ahead(1000) == 1000, "the shortest trials that are known"
    pace.learn("adam", records(make_record, 1, seconds=1e-2))
    assert (pace.n_ahead(3), pace.n_ahead(1000)) == (6, 2000), (
        "they may be over before the next one is stored"
    )


def test_a_small_crew_has_as_many_short_trials_in_hand_as_end_within_a_commit(
    make_record: MakeRecord,
) -> None:
    pace = Pace(2, hang_factor=20)
    for epoch_s, n_each in ((1.0, 1), (0.05, 2), (0.015, 3), (0.005, 5), (0.002, 6), (0.0, 6)):
        pace.learn("sgd", records(make_record, 1, seconds=epoch_s))
        assert pace.n_ahead(4) == 4 * n_each, f"trials of {2 * epoch_s} s"


def test_a_large_crew_has_more_in_hand_where_trials_may_be_given_up_early(make_record: MakeRecord) -> None:
    pace = Pace(12, hang_factor=20, first_rung=4)
    pace.learn("sgd", records(make_record, 1, seconds=5.0))
    assert pace.n_ahead(1000) == 750, "each may be over in 20 s"


def test_a_trial_of_small_batches_is_given_the_time_for_its_steps(make_record: MakeRecord) -> None:
    pace = Pace(100, hang_factor=20)
    pace.learn("adam", records(make_record, 1, 2, seconds=0.1), batch_size=4096)
    assert pace.stretch("adam", [], batch_size=4096) == 10
    assert pace.stretch("adam", [], batch_size=16) == 1, "it may take 256 times as long"
    assert pace.limit_s("adam", [], 1, batch_size=16) == pytest.approx(20 * 25.6)
    pace.learn("adam", records(make_record, 1, seconds=0.5), batch_size=16)
    assert pace.limit_s("adam", [], 4, batch_size=16) == 20 * 2.0, "as known by now"
    assert pace.stretch("adam", [], batch_size=8192) == 2, "nor faster than any that is known"


def test_a_step_that_spans_epochs_is_waited_for_whole(make_record: MakeRecord) -> None:
    pace = Pace(10, hang_factor=2)
    known = records(make_record, 400, 800, seconds=100.0)
    pace.learn("newton", known)
    assert pace.limit_s("newton", known, 4) == pytest.approx(2 * 100.0)


def test_the_limit_goes_to_the_worker(store: Store, make_experiment: MakeExperiment) -> None:
    limits: list[float] = []

    class Limited(SimulatedWorkers):
        def advance(self, slot: Slot, until_epoch: int, limit_s: float = math.inf) -> None:
            limits.append(limit_s)
            super().advance(slot, until_epoch, limit_s)

    experiment = make_experiment("resources.hang_factor=50")
    coordinate(experiment, new_sweep(store, experiment), workers=Limited(experiment)).run()
    assert set(limits) == {50 * 60.0, 50.0}


def test_a_worker_that_dies_once_the_sweep_is_told_to_stop_costs_no_strike(
    store: Store, tiny: Experiment
) -> None:
    stop = Event()

    class Interrupted(SimulatedWorkers):
        """As a terminal's Ctrl-C does: the coordinator is told, and every worker dies."""

        def wait(self, timeout_s: float) -> list[Advanced | Lost]:
            stop.set()
            died, self._work = self._work, {}
            return [Lost(slot, trial.key, n, "its process died", True) for slot, (trial, n) in died.items()]

    committer = new_sweep(store, tiny)
    assert coordinate(tiny, committer, workers=Interrupted(tiny)).run(stop) is SweepState.INTERRUPTED
    (trial,) = [t for t in store.trials("s") if t.attempt]
    assert (trial.state, trial.strikes) == (TrialState.QUEUED, 0)
