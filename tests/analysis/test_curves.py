"""The curves of the search's best trials, and what is said of them as long as there are no finals."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pytest
from finals_frames import ARMS, no_epochs, row, sweep

from sweeper import analysis
from sweeper.analysis import frames
from sweeper.analysis.report.blocks import Drawing, Missing, Section, Text
from sweeper.analysis.report.learning import learning
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.experiment import Experiment
from sweeper.records import SweepInfo, SweepState

MakeExperiment = Callable[..., Experiment]


@pytest.fixture
def three(make_experiment: MakeExperiment) -> Experiment:
    """sgd, adam and rmsprop, two settings each besides the untuned one, finals."""
    return make_experiment(*ARMS, "final.untuned=false")


def epochs_of(trials: pd.DataFrame, n: int = 2) -> pd.DataFrame:
    """`n` epochs of each trial of the search, the last of which has its losses; 3 s each."""
    rows = [
        {
            **{name: 0 for name in frames.EPOCHS},
            **{name: trial[name] for name in ("sweep", "optimizer", "number", "phase")},
            "epoch": epoch,
            "train_loss": trial["val_loss"] + (n - epoch) - 0.25,
            "val_loss": trial["val_loss"] + (n - epoch),
            "val_accuracy": 0.5,
            "train_s": 2.0,
            "eval_s": 1.0,
        }
        for _, trial in trials[trials["phase"] == "search"].iterrows()
        for epoch in range(1, n + 1)
    ]
    return pd.DataFrame(rows, columns=list(frames.EPOCHS)).astype(dict(frames.EPOCHS))


def part(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> Section:
    """The report's part on learning curves."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    info = SweepInfo("tiny", SweepState.RUNNING, now, now, {}, None, None, {}, "", {})
    results = Results(info, experiment, "sqlite:///s.db", trials, list, lambda: epochs, pd.DataFrame)
    return learning(results, Numbers(results))


def test_the_searchs_curves_are_of_the_summarys_best_trials(three: Experiment) -> None:
    """adam's best loss is 1.2, of trial 2: 2.2 and 1.2 after 3 s and 6 s."""
    trials = sweep(finals={})
    found = analysis.searched_curves(trials, epochs_of(trials), three)
    adam = found[(found["optimizer"] == "adam") & (found["column"] == "val_loss")]
    assert list(adam["mean"]) == [2.2, 1.2]
    assert list(adam["seconds"]) == [3.0, 6.0]
    bests = found[(found["column"] == "val_loss") & (found["epoch"] == 2)].set_index("optimizer")["mean"]
    summary = analysis.summary_of(trials, None, three).set_index("optimizer")["best"]
    assert dict(bests) == dict(summary)


def test_one_run_has_no_band(three: Experiment) -> None:
    trials = sweep(finals={})
    found = analysis.searched_curves(trials, epochs_of(trials), three)
    assert (found["n"] == 1).all()
    assert (found["low"] == found["mean"]).all()
    assert (found["high"] == found["mean"]).all()


def test_of_equal_trials_the_first_is_taken(three: Experiment) -> None:
    trials = pd.DataFrame([row("sgd", number, 1.5) for number in (3, 1, 2)])
    epochs = epochs_of(trials).assign(train_loss=lambda frame: frame["number"].astype(float))
    found = analysis.searched_curves(trials, epochs, three)
    assert set(found.loc[found["column"] == "train_loss", "mean"]) == {1.0}


def test_a_pruned_trial_is_not_taken(three: Experiment) -> None:
    trials = sweep(finals={})
    trials.loc[(trials["optimizer"] == "adam") & (trials["number"] == 2), "state"] = "pruned"
    found = analysis.searched_curves(trials, epochs_of(trials), three)
    adam = found[(found["optimizer"] == "adam") & (found["column"] == "val_loss")]
    assert list(adam["mean"]) == [2.5, 1.5]


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_without_a_scored_trial_there_are_no_curves(three: Experiment, state: str) -> None:
    trials = sweep(finals={}).assign(state=state)
    assert analysis.searched_curves(trials, epochs_of(trials), three).empty


def test_an_empty_sweep_has_no_curves(three: Experiment) -> None:
    nothing = sweep(finals={}).iloc[:0]
    found = analysis.searched_curves(nothing, no_epochs(), three)
    assert list(found.columns) == list(analysis.curves(nothing, no_epochs(), three).columns)
    assert found.empty


def test_before_there_are_finals_the_searchs_curves_are_drawn_and_nobody_is_ahead(three: Experiment) -> None:
    trials = sweep(finals={})
    shown = part(trials, epochs_of(trials), three)
    drawings = [block for block in shown.blocks if isinstance(block, Drawing)]
    assert [block.key for block in drawings] == [
        *("curves-val-loss", "curves-train-loss", "curves-val-accuracy", "curves-seconds", "gap"),
    ]
    assert drawings[0].answer == "Validation loss of one trial of each optimizer: sgd/2, adam/2, rmsprop/1."
    assert all(block.answer.endswith("sgd/2, adam/2, rmsprop/1.") for block in drawings)


def test_the_text_says_whose_curves_these_are_and_that_finals_are_to_come(three: Experiment) -> None:
    trials = sweep(finals={})
    trials.loc[trials["number"] == 1, "state"] = "running"
    text = part(trials, epochs_of(trials), three).blocks[-1]
    assert isinstance(text, Text)
    [line] = text.lines
    assert line.startswith(
        "Of the best trial of the search so far of each optimizer, one run each (sgd/2 the best of 1, "
        "adam/2 the best of 1, rmsprop/2 the best of 1): the best of those tried flatters. Finals are still "
        "to come."
    )


def test_the_text_says_that_there_are_no_finals(make_experiment: MakeExperiment) -> None:
    trials = sweep(finals={})
    text = part(trials, epochs_of(trials), make_experiment(*ARMS[:3])).blocks[-1]
    assert isinstance(text, Text)
    assert text.lines[0].startswith("Of the best trial of the search of each optimizer")
    assert "There are no finals." in text.lines[0]


def test_finals_curves_replace_the_searchs(three: Experiment) -> None:
    trials = sweep()
    final = epochs_of(trials.assign(phase="search").iloc[-1:]).assign(phase="final", number=9)
    shown = part(trials, pd.concat([epochs_of(trials), final]), three)
    drawing, text = shown.blocks[0], shown.blocks[-1]
    assert isinstance(drawing, Drawing)
    assert isinstance(text, Text)
    assert drawing.answer == "Validation loss at the end, mean over the seeds: rmsprop 1.310."
    assert text.lines[0].startswith("Of the settings that represent the optimizers")


def test_without_any_epochs_the_part_says_why(three: Experiment) -> None:
    shown = part(sweep(finals={}), no_epochs(), three)
    why = "no final, and no scored trial of the search, has recorded an epoch."
    assert shown.blocks == (Missing(f"No learning curves: {why}"),)


def test_a_loss_that_is_not_a_number_is_left_out(three: Experiment) -> None:
    trials = sweep(finals={})
    epochs = epochs_of(trials)
    epochs.loc[epochs["epoch"] == 1, "val_loss"] = math.nan
    found = analysis.searched_curves(trials, epochs, three)
    assert set(found.loc[found["column"] == "val_loss", "epoch"]) == {2}
