"""Finals, judgement and the limit of seconds, as the coordinator carries them out on simulated workers."""

from collections import Counter
from collections.abc import Callable
from threading import Event

import pytest
from test_coordinator import Flaky, Watch, coordinate, n_finished, new_sweep

from sweeper import seeds
from sweeper.clock import ManualClock
from sweeper.experiment import Experiment, extended
from sweeper.records import Origin, Phase, StoredTrial, SweepState, Trial, TrialKey, TrialState
from sweeper.store import ExperimentExtended, InlineWriter, Store, Write
from sweeper.workers import Advanced, Lost
from sweeper.workers.simulated import SimulatedWorkers

MakeExperiment = Callable[..., Experiment]

FINALS = ("final.top_k=1", "final.seeds=4", "budget.trials_per_optimizer=5")


def by_lr(trial: Trial, epoch: int) -> float:
    """The loss is the learning rate, whatever the epoch: the lowest learning rate is the best setting."""
    return float(trial.params["lr"])


def finals_of(store: Store) -> list[StoredTrial]:
    return [trial for trial in store.trials("s") if trial.key.phase is Phase.FINAL]


def search_of(store: Store) -> list[StoredTrial]:
    return [trial for trial in store.trials("s") if trial.key.phase is Phase.SEARCH]


def best_numbers(store: Store, optimizer: str, k: int = 1, repeats: int = 1, repeat: int = 0) -> list[int]:
    """The numbers of the lowest losses, worked out here."""
    mine = [
        (trial.val_loss, trial.key.number)
        for trial in search_of(store)
        if trial.key.optimizer == optimizer and trial.key.number and trial.key.number % repeats == repeat
    ]
    return [number for _, number in sorted(mine)[:k]]


def lr_workers(experiment: Experiment, n_slots: int = 3) -> SimulatedWorkers:
    return SimulatedWorkers(experiment, n_slots=n_slots, curve=by_lr)


def test_the_best_and_the_untuned_setting_are_trained_again_from_the_same_fresh_seeds(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*FINALS)
    watch = Watch()
    workers = lr_workers(experiment)
    coordinator = coordinate(experiment, new_sweep(store, experiment), workers=workers, watch=watch)
    assert coordinator.run() is SweepState.COMPLETE
    wanted = [seeds.final_trial(experiment.seed, j) for j in range(4)]
    searched = {(t.key.optimizer, t.key.number): t for t in search_of(store)}
    assert not {t.trial.seed for t in searched.values()} & set(wanted)
    for arm in experiment.arms:
        mine = [t for t in finals_of(store) if t.key.optimizer == arm.name]
        (best,) = best_numbers(store, arm.name)
        assert Counter((t.trial.setting, t.trial.seed) for t in mine) == Counter(
            (setting, seed) for setting in (best, 0) for seed in wanted
        )
        assert sorted(t.key.number for t in mine) == list(range(8))
        assert all(t.trial.origin is Origin.FINAL and t.state is TrialState.COMPLETE for t in mine)
        assert all(t.trial.params == searched[arm.name, t.trial.setting].trial.params for t in mine)
    assert watch.finals == (48, 48)


def test_no_final_begins_before_the_last_search_trial_has_ended(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*FINALS)
    n_open: list[int] = []

    class Checked(SimulatedWorkers):
        def start(self, trial: Trial, attempt: int, **options):  # type: ignore[no-untyped-def]
            if trial.key.phase is Phase.FINAL:
                n_open.append(sum(not t.state.is_finished for t in search_of(store)))
            return super().start(trial, attempt, **options)

    workers = Checked(experiment, n_slots=5, curve=by_lr)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    assert len(n_open) == 48
    assert not any(n_open)


def test_top_k_and_repeats_choose_within_each_search(store: Store, make_experiment: MakeExperiment) -> None:
    settings = ("final.top_k=2", "final.seeds=6", "search.repeats=2", "budget.trials_per_optimizer=9")
    experiment = make_experiment(*settings, "final.untuned=false")
    coordinate(experiment, new_sweep(store, experiment), workers=lr_workers(experiment)).run()
    for arm in experiment.arms:
        mine = [t.trial for t in finals_of(store) if t.key.optimizer == arm.name]
        for j in range(6):
            picks = {t.setting for t in mine if t.seed == seeds.final_trial(experiment.seed, j)}
            assert picks == set(best_numbers(store, arm.name, k=2, repeats=2, repeat=j % 2))


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_the_best_is_the_best_by_the_objective(
    store: Store, make_experiment: MakeExperiment, objective: str
) -> None:
    experiment = make_experiment(*FINALS, f"experiment.objective={objective}")
    coordinate(experiment, new_sweep(store, experiment), workers=lr_workers(experiment)).run()
    for arm in experiment.arms:  # a simulated accuracy is exp(-loss): the two agree
        chosen = {t.trial.setting for t in finals_of(store) if t.key.optimizer == arm.name}
        assert chosen == {0, *best_numbers(store, arm.name)}


def test_without_top_k_there_are_no_finals_at_all(store: Store, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("final.top_k=0", "final.untuned=true")
    coordinate(experiment, new_sweep(store, experiment)).run()
    assert not finals_of(store)


def test_a_final_that_diverges_counts_and_one_that_is_lost_is_tried_again(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*FINALS, "final.untuned=false")
    fatal = seeds.final_trial(experiment.seed, 2)
    workers = Flaky(experiment, TrialKey("adam", Phase.FINAL, 1), n=2, strike=True)
    workers._curve = lambda trial, epoch: float("inf") if trial.seed == fatal else by_lr(trial, epoch)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    states = {t.trial.seed: t.state for t in finals_of(store) if t.key.optimizer == "adam"}
    assert Counter(states.values()) == {TrialState.COMPLETE: 3, TrialState.DIVERGED: 1}
    assert states[fatal] is TrialState.DIVERGED
    (again,) = [t for t in finals_of(store) if t.key == workers.key]
    assert again.attempt == 3


@pytest.mark.parametrize("n_before", [1, 12, 29, 30, 31, 45, 74])
def test_an_interruption_anywhere_leaves_no_final_out_and_makes_none_twice(
    store: Store, make_experiment: MakeExperiment, n_before: int
) -> None:
    experiment = make_experiment(*FINALS)
    stop, watch = Event(), Watch()
    watch.on_end = lambda: stop.set() if len(watch.ended) >= n_before else None
    committer = new_sweep(store, experiment)
    first = coordinate(experiment, committer, workers=lr_workers(experiment), watch=watch)
    assert first.run(stop) is SweepState.INTERRUPTED
    committer.release()
    done = {t.key: (t.attempt, t.val_loss) for t in store.trials("s") if t.state.is_finished}
    again = store.take_sweep("s", 30)
    known = store.trials("s")
    second = coordinate(experiment, again, workers=lr_workers(experiment), known=known)
    assert second.run() is SweepState.COMPLETE
    assert n_finished(store) == len(store.trials("s")) == 6 * 5 + 6 * 8
    assert all(done[t.key] == (t.attempt, t.val_loss) for t in store.trials("s") if t.key in done)
    pairs = Counter((t.key.optimizer, t.trial.setting, t.trial.seed) for t in finals_of(store))
    assert len(pairs) == 48


def test_more_trials_supersede_finals_of_settings_that_are_no_longer_chosen(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*FINALS, "experiment.seed=3")
    committer = new_sweep(store, experiment)
    coordinate(experiment, committer, workers=lr_workers(experiment)).run()
    before = {arm.name: best_numbers(store, arm.name)[0] for arm in experiment.arms}
    committer.release()
    larger = extended(experiment, ["budget.trials_per_optimizer=12", "final.seeds=5"], source="s")
    again = store.take_sweep("s", 30)
    again.commit([ExperimentExtended(larger.document())])
    known = store.trials("s")
    coordinate(larger, again, workers=lr_workers(larger), known=known).run()
    assert store.sweep("s").experiment["budget"]["trials_per_optimizer"] == 12
    after = {arm.name: best_numbers(store, arm.name)[0] for arm in experiment.arms}
    moved = [name for name in after if after[name] != before[name]]
    assert moved
    assert len(moved) < len(after)
    for name in after:
        mine = [t.trial for t in finals_of(store) if t.key.optimizer == name]
        counting = Counter(t.setting for t in mine if t.origin is Origin.FINAL)
        assert counting == {after[name]: 5, 0: 5}
        superseded = Counter(t.setting for t in mine if t.origin is Origin.SUPERSEDED)
        assert superseded == ({before[name]: 4} if name in moved else {})
        assert len({t.key.number for t in mine}) == len(mine)


def test_finals_left_undone_by_a_setting_that_was_superseded_are_given_up_not_trained(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(*FINALS, "experiment.seed=3")
    stop, watch = Event(), Watch()
    watch.on_end = lambda: stop.set() if len(watch.ended) >= 33 else None
    committer = new_sweep(store, experiment)
    coordinate(experiment, committer, workers=lr_workers(experiment), watch=watch).run(stop)
    unfinished = {t.key for t in finals_of(store) if not t.state.is_finished}
    assert unfinished
    committer.release()
    larger = extended(experiment, ["budget.trials_per_optimizer=40"], source="s")
    started: list[TrialKey] = []

    class Noted(SimulatedWorkers):
        def start(self, trial: Trial, attempt: int, **options):  # type: ignore[no-untyped-def]
            started.append(trial.key)
            return super().start(trial, attempt, **options)

    workers = Noted(larger, n_slots=3, curve=by_lr)
    coordinate(larger, store.take_sweep("s", 30), workers=workers, known=store.trials("s")).run()
    given_up = {t.key for t in finals_of(store) if t.state is TrialState.FAILED}
    assert given_up
    assert not given_up & set(started)
    assert given_up <= unfinished
    assert all(t.trial.origin is Origin.SUPERSEDED for t in finals_of(store) if t.key in given_up)
    assert n_finished(store) == len(store.trials("s"))


# --- judgement at rungs -----------------------------------------------------------------------------------


def pruned_experiment(make_experiment: MakeExperiment, *settings: str) -> Experiment:
    names = ("budget.epochs=9", "search.pruner=asha", "budget.trials_per_optimizer=12")
    return make_experiment(*names, *settings)


def test_a_pruned_trial_ends_at_its_rung_and_epochs_are_saved(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = pruned_experiment(make_experiment)
    coordinate(experiment, new_sweep(store, experiment), workers=lr_workers(experiment)).run()
    pruned = [t for t in search_of(store) if t.state is TrialState.PRUNED]
    assert {t.epochs for t in pruned} == {3}
    assert len(pruned) >= 12  # of 66; two thirds are expected in the long run, the first of each arm never
    whole = 9 * len(search_of(store))
    spent = sum(t.epochs for t in search_of(store))
    assert spent <= 0.8 * whole


def test_no_worker_trains_past_a_rung_before_the_decision(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = pruned_experiment(make_experiment, "search.min_epochs=2", "search.reduction_factor=2")
    seen: dict[TrialKey, list[int]] = {}

    class Noted(SimulatedWorkers):
        def wait(self, timeout_s: float) -> list[Advanced | Lost]:
            events = super().wait(timeout_s)
            for event in events:
                assert isinstance(event, Advanced)
                seen.setdefault(event.key, []).append(event.records[-1].epoch)
            return events

    workers = Noted(experiment, n_slots=3, curve=by_lr)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    stops = {epoch for key, stops in seen.items() if key.number for epoch in stops}
    assert {2, 4, 8} <= stops
    assert any({2, 4, 8, 9} == set(s) for s in seen.values())


def test_trial_0_and_finals_are_never_pruned(store: Store, make_experiment: MakeExperiment) -> None:
    experiment = pruned_experiment(make_experiment, "final.top_k=1", "final.seeds=6")

    def untuned_is_bad(trial: Trial, epoch: int) -> float:
        return 50.0 + trial.seed % 7 if trial.setting == 0 else by_lr(trial, epoch)

    workers = SimulatedWorkers(experiment, n_slots=3, curve=untuned_is_bad)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    whole = [t for t in store.trials("s") if t.trial.setting == 0 or t.key.phase is Phase.FINAL]
    assert len(whole) == 6 + 6 * 12
    assert {(t.state, t.epochs) for t in whole} == {(TrialState.COMPLETE, 9)}


def test_a_rung_that_was_passed_is_not_judged_again_after_an_interruption(
    store: Store, make_experiment: MakeExperiment
) -> None:
    """Each trial is better than all before, so it passes its rung; then much better ones come, and then it
    is trained again: judged anew it would be pruned."""
    experiment = pruned_experiment(make_experiment, "search.reduction_factor=3")
    order: dict[TrialKey, float] = {}

    def falling(trial: Trial, epoch: int) -> float:
        return order.setdefault(trial.key, 2.0 - 0.01 * len(order))

    stop = Event()

    class Stopped(SimulatedWorkers):
        """Stops the sweep while three trials have passed their rung and are not over."""

        def wait(self, timeout_s: float) -> list[Advanced | Lost]:
            if len(order) >= 30 and all(0 < self._epoch[slot] < 9 for slot in self._work):
                stop.set()
                return []
            return super().wait(timeout_s)

    committer = new_sweep(store, experiment)
    workers = Stopped(experiment, n_slots=3, curve=falling)
    assert coordinate(experiment, committer, workers=workers).run(stop) is SweepState.INTERRUPTED
    begun = {t.key: t.epochs for t in search_of(store) if not t.state.is_finished and t.epochs >= 3}
    assert begun
    committer.release()

    def worse(trial: Trial, epoch: int) -> float:
        return 2.2 if trial.key in begun else 1.0

    known, curves = store.trials("s"), store.curves("s", "val_loss")
    assert all(max(curves[key]) == epochs for key, epochs in begun.items())
    again = store.take_sweep("s", 30)
    workers = SimulatedWorkers(experiment, n_slots=1, curve=worse)
    coordinate(experiment, again, workers=workers, known=known, curves=curves).run()
    states = {t.key: t.state for t in search_of(store)}
    assert all(states[key] is TrialState.COMPLETE for key in begun)


def test_records_and_the_decision_on_them_are_one_transaction(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = pruned_experiment(make_experiment)
    puts: list[tuple[Write, ...]] = []

    class Noted(InlineWriter):
        def put(self, *writes: Write) -> None:
            puts.append(writes)
            super().put(*writes)

    committer = new_sweep(store, experiment)
    writer = Noted(committer)
    coordinate(experiment, committer, workers=lr_workers(experiment), writer=writer).run()
    ends = [writes for writes in puts if any(getattr(w, "state", None) is TrialState.PRUNED for w in writes)]
    assert ends
    assert all([type(w).__name__ for w in writes] == ["EpochsRecorded", "TrialFinished"] for writes in ends)


# --- seconds ----------------------------------------------------------------------------------------------


class Slow(SimulatedWorkers):
    """Each look at the workers takes ten seconds."""

    def __init__(self, experiment: Experiment, clock: ManualClock) -> None:
        super().__init__(experiment, n_slots=2, curve=by_lr)
        self._clock = clock

    def wait(self, timeout_s: float) -> list[Advanced | Lost]:
        self._clock.sleep(10)
        return super().wait(timeout_s)


def test_after_max_seconds_nothing_is_handed_out_and_what_runs_is_finished(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.max_seconds=45")
    clock = ManualClock()
    coordinator = coordinate(
        experiment, new_sweep(store, experiment), workers=Slow(experiment, clock), clock=clock
    )
    assert coordinator.run() is SweepState.STOPPED
    assert store.sweep("s").state is SweepState.STOPPED
    states = Counter(t.state for t in store.trials("s"))
    assert states[TrialState.RUNNING] == 0
    assert 2 <= states[TrialState.COMPLETE] <= 10
    started = Counter(t.key.optimizer for t in store.trials("s") if t.attempt)
    assert max(started.values()) - min(started[arm.name] for arm in experiment.arms) <= 1


def test_seconds_that_were_spent_before_an_interruption_count(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.max_seconds=45")
    clock = ManualClock()
    coordinator = coordinate(
        experiment,
        new_sweep(store, experiment),
        workers=Slow(experiment, clock),
        clock=clock,
        spent_s=45,
    )
    assert coordinator.run() is SweepState.STOPPED
    assert not n_finished(store)


def test_a_sweep_whose_last_trial_outlasts_the_limit_is_complete(
    store: Store, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment("budget.max_seconds=25", "budget.trials_per_optimizer=1", "budget.epochs=1")
    clock = ManualClock()
    coordinator = coordinate(
        experiment, new_sweep(store, experiment), workers=Slow(experiment, clock), clock=clock
    )
    assert coordinator.run() is SweepState.COMPLETE
    assert n_finished(store) == 6
