"""How far sweeps are, from counts; expected numbers are worked out by hand."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import imported_sweeps
import pandas as pd
import pytest
from finals_frames import row
from led import LedSweep

from sweeper import api
from sweeper.analysis.live import Followed, Watch, bars, facts, named, subject, told
from sweeper.analysis.live.overview import Overview, overview
from sweeper.analysis.progress import progress
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, SweepInfo, SweepState, TrialState
from sweeper.store import Store
from sweeper.store.counts import Count

MakeExperiment = Callable[..., Experiment]
CHANCE = math.log(10)


def count(
    optimizer: str = "sgd",
    n: int = 1,
    state: TrialState = TrialState.COMPLETE,
    best: float | None = 1.5,
    *,
    phase: Phase = Phase.SEARCH,
    origin: Origin = Origin.PROPOSED,
    epochs: int = 0,
    seconds: float = 0.0,
) -> Count:
    return Count(optimizer, phase, origin, state, n, best, best, epochs, seconds)


def info(state: SweepState = SweepState.RUNNING, name: str = "tiny") -> SweepInfo:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return SweepInfo(name, state, now, now, {}, "process 1 on here", now, {}, "", {})


def seen(
    experiment: Experiment, *counts: Count, state: SweepState = SweepState.RUNNING, workers: int = 2
) -> Overview:
    return overview(info(state), experiment, counts, workers)


def test_each_optimizer_has_its_own_progress(tiny: Experiment) -> None:
    found = seen(
        tiny,
        count("sgd", 2),
        count("sgd", 1, TrialState.DIVERGED, None),
        count("adam", 1, TrialState.FAILED, None),
        count("adam", 1, TrialState.RUNNING, None),
        count("adam", 1, TrialState.QUEUED, None),
    )
    sgd = found.arms[0]
    assert (sgd.optimizer, sgd.done, sgd.total, sgd.running) == ("sgd", 3, 3, 0)
    assert [(arm.done, arm.running) for arm in found.arms if arm.optimizer == "adam"] == [(1, 1)]
    assert (found.n_done, found.n_trials, found.is_equal) == (4, 18, False)


@pytest.mark.parametrize(
    ("objective", "untuned", "lowest", "highest", "best"),
    [("val_loss", 0.1, 1.2, 2.0, 1.2), ("val_accuracy", 0.9, 0.3, 0.6, 0.6)],
)
def test_the_best_is_of_the_settings_tried_and_not_of_the_untuned(
    make_experiment: MakeExperiment,
    objective: str,
    untuned: float,
    lowest: float,
    highest: float,
    best: float,
) -> None:
    found = seen(
        make_experiment(f"experiment.objective={objective}"),
        replace(count(n=4), lowest=lowest, highest=highest),
        count("adam", 2, best=(lowest + highest) / 2),
        count(origin=Origin.DEFAULT, best=untuned),
        count(phase=Phase.FINAL, origin=Origin.FINAL, best=untuned),
        count("adam", 1, TrialState.PRUNED, untuned),
        count("adam", 1, TrialState.RUNNING, untuned),
    )
    assert (found.n_tried, found.best) == (6, best)


def test_a_diverged_setting_scores_as_chance_in_accuracy_too(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("experiment.objective=val_accuracy")
    assert seen(experiment, count(state=TrialState.DIVERGED, best=0.8)).best == pytest.approx(0.1)
    assert seen(experiment, count(best=None)).best == pytest.approx(0.1)


def test_what_diverged_scores_as_chance_and_before_the_first_there_is_nothing(tiny: Experiment) -> None:
    assert math.isnan(seen(tiny).best)
    assert seen(tiny, count(state=TrialState.DIVERGED, best=0.2)).best == pytest.approx(CHANCE)
    assert seen(tiny, count(best=99.0)).best == pytest.approx(CHANCE)


def test_superseded_finals_are_not_counted(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=2", "final.untuned=false")
    final = count(phase=Phase.FINAL, origin=Origin.FINAL, n=3)
    old = count(phase=Phase.FINAL, origin=Origin.SUPERSEDED, n=7)
    found = seen(experiment, final, old)
    assert (found.n_finals_done, found.n_finals) == (3, 12)
    assert seen(experiment, final, old, state=SweepState.COMPLETE).n_finals == 3


@pytest.mark.parametrize(
    ("n_scored", "n_finals"), [(3, 6 * 2 * (2 + 1)), (0, 5 * 2 * 3 + 2), (1, 5 * 2 * 3 + 4)]
)
def test_once_the_search_is_over_finals_are_of_the_settings_that_have_a_score(
    make_experiment: MakeExperiment, n_scored: int, n_finals: int
) -> None:
    """Two settings and the untuned one, two seeds; of sgd's three trials that many have a score."""
    experiment = make_experiment("final.top_k=2", "final.seeds=2", "budget.trials_per_optimizer=4")
    others = [
        one
        for arm in experiment.arms
        for one in (count(arm.name, origin=Origin.DEFAULT), count(arm.name, 3))
        if arm.name != "sgd"
    ]
    searched = [
        count(origin=Origin.DEFAULT),
        count(n=n_scored),
        count("sgd", 3 - n_scored, TrialState.FAILED),
    ]
    found = seen(experiment, *others, *searched)
    assert found.n_finals == n_finals
    assert bars(found)[-1] == ("finals", f"0 of {n_finals}", 0, n_finals)
    assert seen(experiment, *others).n_finals == 36, "at most, while the search goes on"


def test_finals_are_counted_as_the_report_counts_them(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=2", "budget.trials_per_optimizer=3")
    rows, counted = [], []
    for arm in experiment.arms:
        states = ["complete", "failed" if arm.name == "adam" else "complete", "failed"]
        rows += [row(arm.name, number, 1.5, state=state) for number, state in enumerate(states)]
        counted += [count(arm.name, 1, origin=Origin.DEFAULT), count(arm.name, 1, TrialState.FAILED)]
        counted += [count(arm.name, 1, TrialState(states[1]))]
    found = seen(experiment, *counted)
    assert found.n_finals == progress(pd.DataFrame(rows), experiment).n_finals == 22


def test_the_time_left_has_the_finals_in_it(make_experiment: MakeExperiment) -> None:
    """18 trials done in 36 epochs of 1 s; of 24 finals of 2 epochs 4 are done, 1 has begun: 39 s left."""
    experiment = make_experiment("final.top_k=1", "final.seeds=2")
    search = [count(arm.name, 3, epochs=6, seconds=6.0) for arm in experiment.arms]
    done = count(n=4, phase=Phase.FINAL, origin=Origin.FINAL, epochs=8, seconds=8.0)
    begun = count(state=TrialState.RUNNING, phase=Phase.FINAL, origin=Origin.FINAL, epochs=1, seconds=1.0)
    assert seen(experiment, *search, done, begun, workers=1).left_s == pytest.approx(39.0)
    over = replace(done, n=24, epochs=48, seconds=48.0)
    assert seen(experiment, *search, over, workers=1).left_s == 0.0


def test_equal_is_what_has_had_equal_numbers_of_trials(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("optimizers.sgd={}", "optimizers.adam={}")
    assert seen(experiment).is_equal
    assert not seen(experiment, count("sgd", 2), count("adam", 1)).is_equal
    pruned = count("adam", 1, TrialState.PRUNED)
    assert seen(experiment, count("sgd", 2), count("adam", 1), pruned).is_equal


@pytest.fixture
def imported(store: Store) -> Iterator[Followed]:
    """Results from elsewhere, of which nobody knows how long they took: of sgd two trials fewer."""
    trials, _ = imported_sweeps.tables(24, 2, 2)
    api.import_trials("made-up", trials.drop(index=[2, 3]), store=store)
    with contextlib.closing(Watch(store.url)) as watch:
        yield watch.sweep("made-up")


def test_nobody_knows_what_imported_results_have_cost(imported: Followed) -> None:
    assert facts(imported)[0] == "68 epochs"
    assert not any("worker" in line for line in facts(imported))


def test_imported_results_are_all_there_will_be(imported: Followed) -> None:
    found = imported.overview
    assert (found.n_done, found.n_trials, found.n_finals_done, found.n_finals) == (22, 22, 12, 12)
    assert (found.left_s, found.workers, found.is_over, found.is_equal) == (None, 0, True, False)
    assert bars(found) == [("6 optimizers", "22 trials", 22, 22), ("finals", "12 of 12", 12, 12)]
    assert subject(found).startswith("Imported from ")
    assert told(found)[1:4] == ("-", "-", "-")


def test_the_best_is_the_summarys(store: Store, make_experiment: MakeExperiment) -> None:
    sweep = LedSweep(store, make_experiment())
    sweep.trains("sgd", 0, 0.5)
    sweep.trains("sgd", 1, 1.75)
    sweep.ends(sweep.begins("adam", 1), TrialState.DIVERGED)
    with contextlib.closing(Watch(store.url)) as watch:
        followed = watch.sweep(sweep.name)
        best = followed.numbers.standing["best"].min()
    assert (followed.overview.best, followed.overview.n_tried) == (best, 2)


def test_the_time_left_is_that_of_the_epochs_left(tiny: Experiment) -> None:
    """18 trials of 2 epochs; 4 done in 16 s, 1 epoch of a running one in 2 s: 27 epochs left, 2 s each."""
    counts = (
        count(n=4, epochs=8, seconds=16.0),
        count(state=TrialState.RUNNING, best=None, epochs=1, seconds=2.0),
    )
    assert seen(tiny, *counts).left_s == pytest.approx(27.0)
    assert seen(tiny, *counts, workers=1).left_s == pytest.approx(54.0)
    assert seen(tiny, *counts, workers=0).left_s is None
    assert seen(tiny, count(state=TrialState.RUNNING, best=None)).left_s is None
    assert seen(tiny, *counts, state=SweepState.STOPPED).left_s is None


def test_a_joint_search_promises_no_optimizer_a_number(make_experiment: MakeExperiment) -> None:
    found = seen(make_experiment("search.mode=joint", "search.sampler=tpe"), count(n=5))
    assert {arm.total for arm in found.arms} == {None}
    assert bars(found)[0] == ("sgd", "5", 5, None)


def test_a_bar_is_for_every_optimizer_until_all_are_done(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=2", "final.untuned=false")
    some = seen(experiment, count("sgd", 2), count("sgd", 1, TrialState.RUNNING, None))
    assert bars(some)[0] == ("sgd", "2 of 3, 1 running", 2, 3)
    assert bars(some)[-1] == ("finals", "0 of up to 12", 0, 12)
    all_done = seen(experiment, *(count(arm.name, 3) for arm in experiment.arms))
    assert bars(all_done) == [
        ("6 optimizers", "18 trials, 3 each", 18, 18),
        ("finals", "0 of 12", 0, 12),
    ]


def test_the_list_tells_what_is_known_and_a_dash_else(tiny: Experiment) -> None:
    running = seen(tiny, count(n=4, epochs=8, seconds=16.0))
    assert told(running) == ("1.500 (of 4)", "2", "28 s", "process 1 on here", "2026-03-01 12:00 UTC")
    assert told(seen(tiny, state=SweepState.STOPPED))[:3] == ("-", "-", "-")


def test_a_sweep_is_found_by_a_part_of_its_name_whatever_its_case(tiny: Experiment) -> None:
    found = [overview(info(name=name), tiny, (), 0) for name in ("CIFAR-a", "b")]
    assert [one.info.name for one in named(found, " cifar")] == ["CIFAR-a"]
    assert len(named(found, "")) == 2


def test_it_is_said_what_is_trained_on_what(tiny: Experiment) -> None:
    line = "linear on synthetic images, 200 training images, 2 epochs; objective validation loss"
    assert subject(seen(tiny)) == f"{line}."
    assert subject(seen(tiny, count(n=2))) == f"{line}, best so far 1.500 (of 2)."


def test_facts_name_leader_cost_and_moment(store: Store, tiny: Experiment) -> None:
    sweep = LedSweep(store, tiny)
    sweep.trains("sgd", 0, 2.0)
    sweep.begins("adam", 0)
    watch = Watch(store.url)
    followed = watch.sweep(sweep.name)
    found = facts(followed)
    watch.close()
    assert found[0].startswith("1 worker at work, led by process ")
    assert found[1].startswith("about ")
    assert found[2] == "2 epochs in 1 s of worker time"
    assert found[-1].startswith("data as of ")
    followed.numbers_as_of -= timedelta(minutes=1)
    assert facts(followed)[-1].startswith("statistics as of ")
