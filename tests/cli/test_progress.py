import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from sweeper import tally as tallies
from sweeper.cli import progress
from sweeper.cli.progress import duration
from sweeper.experiment import Experiment
from sweeper.records import (
    EpochRecord,
    FinalScore,
    Origin,
    Phase,
    StoredTrial,
    Trial,
    TrialKey,
    TrialState,
)
from sweeper.tally import Tally

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]
MakeRecord = Callable[..., EpochRecord]


def untuned(trial: Trial) -> Trial:
    return Trial(trial.key, trial.seed, trial.params, {}, Origin.DEFAULT, False, trial.setting)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that the tally reads, in seconds."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(tallies.time, "monotonic", lambda: seconds)

    set_to(0)
    return set_to


def test_the_best_is_told_with_the_number_of_settings_tried(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    tally = Tally(tiny, [])
    assert tally.best_of("adam") == ""
    tally.ended(untuned(make_trial("adam", 0)), TrialState.COMPLETE, make_record(2, val_loss=0.1))
    assert tally.best_of("adam") == "", "trial 0 is torch's default, not one of the settings tried"
    for number, loss in ((1, 1.5), (2, 1.2), (3, 1.9)):
        tally.ended(make_trial("adam", number), TrialState.COMPLETE, make_record(2, val_loss=loss))
    assert tally.best_of("adam") == "best 1.200 of 3 tried"


def test_the_lucky_last_epoch_of_a_diverged_trial_is_no_best(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    tally = Tally(tiny, [])
    tally.ended(make_trial("adam", 1), TrialState.COMPLETE, make_record(2, val_loss=1.5))
    tally.ended(make_trial("adam", 2), TrialState.DIVERGED, make_record(2, val_loss=0.5))
    assert tally.best_of("adam") == "best 1.500 of 2 tried"


def test_what_the_store_already_holds_counts(tiny: Experiment, make_trial: MakeTrial) -> None:
    done = StoredTrial(make_trial("sgd", 1), TrialState.COMPLETE, 1, 0, 2, 1.0, 1.25, 0.5, None)
    queued = StoredTrial(make_trial("sgd", 2), TrialState.QUEUED, 1, 0, 0, None, None, None, None)
    tally = Tally(tiny, [done, queued])
    assert tally.n_finished == 1
    assert tally.best_of("sgd") == "best 1.250 of 1 tried"


def test_the_time_left_follows_the_pace_of_warm_workers(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord, now: Callable[[float], None]
) -> None:
    tally = Tally(tiny, [])  # 18 trials of 2 epochs
    assert tally.left_s() is None
    now(100)  # the workers took that long to start
    tally.advanced(make_trial("sgd", 0), make_record(1))
    now(110)
    tally.advanced(make_trial("sgd", 0), make_record(2))
    assert tally.left_s() == pytest.approx(34 * 10)


def test_the_epochs_of_a_lost_attempt_are_taken_back(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord, now: Callable[[float], None]
) -> None:
    tally = Tally(tiny, [])
    tally.advanced(make_trial("sgd", 1), make_record(1))
    now(10)
    tally.advanced(make_trial("adam", 1), make_record(2))
    before = tally.left_s()
    tally.advanced(make_trial("adam", 2), make_record(2))
    tally.lost(make_trial("adam", 2).key)
    assert tally.left_s() == before


def test_plain_lines_tell_each_trial_and_each_loss(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord, now: Callable[[float], None]
) -> None:
    out = io.StringIO()
    lines = progress._Lines(Console(file=out, width=200))
    lines.begins("s", tiny, [], ["a note"])
    lines.lost(make_trial("adam", 1).key, 1, "its process died")
    lines.advanced(make_trial("adam", 1), [make_record(2)])
    lines.finished(make_trial("adam", 1), TrialState.COMPLETE, make_record(2), None)
    now(6)
    lines.finished(make_trial("adam", 2), TrialState.FAILED, None, None)
    assert out.getvalue().splitlines() == [
        "sweep s: linear, 6 optimizers, 3 trials each, 2 epochs a trial",
        "a note",
        "adam/1 attempt 1 lost: its process died",
        "adam/1 complete: val_loss 2.100, accuracy 0.200 (1 of 18 trials, ... left)",
        "adam/2 failed (2 of 18 trials, 1 min 36 s left)",
    ]


def test_bars_show_each_optimizer_and_the_whole(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    console = Console(file=io.StringIO(), width=200)
    shown = Progress(TextColumn("{task.fields[best]}"), console=console, disable=True)
    bars = progress._Bars(console, shown)
    bars.begins("s", tiny, [], [])
    for number in (1, 2):
        bars.advanced(make_trial("adam", number), [make_record(2, val_loss=1.5)])
        bars.finished(make_trial("adam", number), TrialState.COMPLETE, make_record(2, val_loss=1.5), None)
    bars.finished(make_trial("sgd", 1), TrialState.FAILED, None, None)
    tasks = {task.description: task for task in shown.tasks}
    assert [*tasks] == [*(arm.name for arm in tiny.arms), "finals", "all"]
    assert (tasks["adam"].completed, tasks["adam"].total) == (2, 3)
    assert tasks["adam"].fields["best"] == "best 1.500 of 2 tried"
    assert (tasks["all"].completed, tasks["all"].total) == (3, 18)
    assert tasks["all"].fields["best"].endswith(", 1 failed")


@pytest.fixture
def a_final(make_trial: MakeTrial) -> Trial:
    trial = make_trial("adam", 3)
    return replace(trial, key=TrialKey("adam", Phase.FINAL, 3), origin=Origin.FINAL, setting=1)


def test_finals_are_counted_by_themselves_and_belong_to_the_whole(
    make_experiment: MakeExperiment, make_record: MakeRecord, a_final: Trial
) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=2")
    out = io.StringIO()
    lines = progress._Lines(Console(file=out, width=200))
    lines.begins("s", experiment, [], [])
    lines.finals_chosen(22, 20)
    lines.finished(a_final, TrialState.COMPLETE, make_record(2), FinalScore(2.0, 0.25))
    assert out.getvalue().splitlines() == [
        "sweep s: linear, 6 optimizers, 3 trials each, 2 epochs a trial, then 24 finals",
        "the search is over: 20 finals on fresh seeds",
        "adam/final/3 complete: test_loss 2.000, test accuracy 0.250 (3 of 22 finals, ... left)",
    ]


def test_time_left_counts_the_finals(
    make_experiment: MakeExperiment,
    make_trial: MakeTrial,
    make_record: MakeRecord,
    now: Callable[[float], None],
) -> None:
    tally = Tally(make_experiment("final.top_k=1", "final.seeds=2"), [])
    tally.advanced(make_trial("sgd", 1), make_record(1))
    now(10)
    tally.advanced(make_trial("sgd", 1), make_record(2))
    assert tally.left_s() == pytest.approx((2 * (18 + 24) - 2) * 10)
    tally.finals_chosen(24, 4)  # twenty were trained by an earlier coordinator
    assert tally.n_done == 20


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "..."),
        (0.4, "0 s"),
        (59, "59 s"),
        (59.7, "1 min 0 s"),
        (130, "2 min 10 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations_are_written_for_people(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
