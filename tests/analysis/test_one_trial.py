"""The part on one trial: its setting, curves, attempts, error and the command that repeats it."""

import math
import shlex
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from attempt_frames import attempt, attempts
from finals_frames import no_epochs, row

from sweeper.analysis import figures, frames
from sweeper.analysis.report.blocks import Block, Code, Document, Drawing, Folded, Missing, Section, Table
from sweeper.analysis.report.html import page
from sweeper.analysis.report.markdown import text
from sweeper.analysis.report.one_trial import one_trial
from sweeper.experiment import Experiment, Imported, imported

MakeExperiment = Callable[..., Experiment]

NO_ATTEMPTS = attempts(attempt("1/0", 0, 0, 1)).iloc[:0]
TIMES = {"queued_s": 0.25, "setup_s": 1.5, "train_s": 59.0, "eval_s": 3.0, "wall_s": 3725.0}


def trial(number: int = 7, **more: object) -> pd.Series:
    """The row of the complete trial of adam: validation loss 1.2 after two epochs."""
    known = {**TIMES, "attempt": 1, "epochs": 2, "params.beta1": 0.9, "params.schedule": "cosine"}
    return pd.DataFrame([row("adam", number, 1.2, **{**known, **more})]).iloc[0]


def curve(
    val: list[float], train: list[float] | None = None, accuracy: list[float] | None = None
) -> pd.DataFrame:
    """Rows of the frame `epochs` with these losses."""
    n = len(val)
    columns = {
        "sweep": "tiny",
        "optimizer": "adam",
        "number": 7,
        "phase": "search",
        "epoch": range(1, n + 1),
        "samples": range(200, 200 * n + 1, 200),
        "grad_evals": 4,
        "train_loss": train or val,
        "val_loss": val,
        "val_accuracy": accuracy or [math.nan] * n,
        "lr": 0.01,
        "train_s": 0.5,
        "eval_s": 0.25,
    }
    return pd.DataFrame(columns).astype(dict(frames.EPOCHS))


def part(
    row: pd.Series,
    experiment: Experiment,
    epochs: pd.DataFrame | None = None,
    attempts: pd.DataFrame = NO_ATTEMPTS,
    *,
    name: str = "tiny",
    store: str = "sqlite:///s.db",
) -> Section:
    return one_trial(name, store, row, no_epochs() if epochs is None else epochs, attempts, experiment)


def blocks(shown: Section, kind: type[Block]) -> list[Block]:
    return [block for block in shown.blocks if isinstance(block, kind)]


def facts(shown: Section) -> dict[str, str]:
    """The first table: what is known of the trial, by what it is."""
    first = shown.blocks[0]
    assert isinstance(first, Table)
    return {what: value for what, value in first.rows}


@pytest.fixture
def from_elsewhere() -> Experiment:
    """An imported sweep of adam."""
    return imported.imported("x", "val_loss", ["adam"], Imported("a.csv"), trials_per_optimizer=8)


def test_a_trial_is_titled_by_its_key(tiny: Experiment) -> None:
    assert part(trial(), tiny).title == "adam/7"
    assert part(trial(phase="final", origin="final", number=3), tiny).title == "adam/final/3"


def test_state_origin_seed_score_and_setting_are_told(tiny: Experiment) -> None:
    assert facts(part(trial(), tiny)) == {
        "state": "complete",
        "origin": "proposed, drawn without a look at other trials",
        "seed": "7",
        "setting": "lr 0.01, beta1 0.9, schedule cosine",
        "score (validation loss)": "1.200",
        "epochs": "2 of 2",
        "training loss, latest": "1.200",
        "validation loss, latest": "1.200",
        "validation accuracy, latest": "0.700",
    }


def test_a_final_tells_whose_setting_it_repeats_and_its_test_score(tiny: Experiment) -> None:
    final = {"phase": "final", "origin": "final", "independent": False, "setting": 7}
    found = facts(part(trial(**final, test_loss=1.25, test_accuracy=0.6875), tiny))
    assert found["setting, that of adam/7"].startswith("lr 0.01")
    assert (found["test loss"], found["test accuracy"]) == ("1.250", "0.688")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("queued", "none yet"),
        ("running", "none yet"),
        ("pruned", "none: it was pruned"),
        ("failed", "none: it failed"),
        ("diverged", "2.303, that of chance: it diverged"),
    ],
)
def test_a_trial_without_a_score_of_its_own_says_why(tiny: Experiment, state: str, told: str) -> None:
    assert facts(part(trial(state=state), tiny))["score (validation loss)"] == told


def test_a_loss_above_chance_level_scores_as_chance(tiny: Experiment) -> None:
    found = facts(part(trial(val_loss=5.0), tiny))
    assert found["score (validation loss)"] == "2.303"
    assert found["validation loss, latest"] == "5.000"


def test_hyperparameters_that_the_optimizer_has_not_are_left_out(tiny: Experiment) -> None:
    assert facts(part(trial(**{"params.beta1": math.nan}), tiny))["setting"] == "lr 0.01, schedule cosine"


def test_times_have_units(tiny: Experiment) -> None:
    times = blocks(part(trial(), tiny), Table)[-1]
    assert isinstance(times, Table)
    assert dict(zip(times.headings, times.rows[0], strict=True)) == {
        "queued": "0.250 s",
        "setup": "1.5 s",
        "training": "59 s",
        "evaluation": "3 s",
        "wall": "1 h 2 min",
    }


def test_attempts_are_rows(tiny: Experiment) -> None:
    mine = attempts(
        attempt("1/0", 7, 0, 5, why="its process died", strike=True),
        attempt("1/1", 7, 6, None, attempt=2),
    )
    table = blocks(part(trial(), tiny, attempts=mine), Table)[1]
    assert isinstance(table, Table)
    assert table.rows == (
        ("1", "1/0", "n1", "cpu", "2026-03-01 12:00:00", "2026-03-01 12:00:05", "its process died", "yes"),
        ("2", "1/1", "n1", "cpu", "2026-03-01 12:00:06", "-", "under way", "no"),
    )


def test_a_trial_that_nobody_has_begun_has_no_attempts(tiny: Experiment) -> None:
    unknown = dict.fromkeys(TIMES, math.nan)
    shown = part(trial(state="queued", epochs=0, val_loss=math.nan, **unknown), tiny)
    assert [block.why for block in blocks(shown, Missing)] == [  # type: ignore[union-attr]
        "No epochs: none is recorded.",
        "No attempts: no worker has begun it.",
        "No times: none is known.",
    ]


def test_the_error_is_lines_that_no_terminal_obeys(tiny: Experiment) -> None:
    shown = part(trial(state="failed", error="ValueError: <b>\x1b[2J\nsecond"), tiny)
    error = blocks(shown, Code)[0]
    assert isinstance(error, Code)
    assert error.text == "ValueError: <b>\\x1b[2J\nsecond"


def test_the_command_repeats_the_trial(tiny: Experiment) -> None:
    [code] = blocks(part(trial(), tiny), Code)
    assert isinstance(code, Code)
    assert code.text == "sweeper repeat tiny adam 7 --store sqlite:///s.db"


def test_the_command_is_quoted_for_a_shell(tiny: Experiment) -> None:
    url = "postgresql://u@h/db?a=1&b=$(x)"
    shown = part(trial(phase="final", origin="final"), tiny, name="a b; rm", store=url)
    [code] = blocks(shown, Code)
    assert isinstance(code, Code)
    words = ["sweeper", "repeat", "a b; rm", "adam", "7", "--final", "--store", url]
    assert shlex.split(code.text) == words
    assert f"'{url}'" in code.text


def test_an_imported_trial_says_what_nobody_knows(from_elsewhere: Experiment) -> None:
    unknown = dict.fromkeys(TIMES, math.nan)
    row = trial(origin="imported", seed=-1, **unknown)
    shown = part(row, from_elsewhere, attempts=attempts(attempt(None, 7, None, None)))
    assert facts(shown)["seed"] == "-"
    assert not blocks(shown, Code)
    assert "can't be repeated" in text(Document("t", "s", (shown,)))


def test_every_epoch_is_in_a_folded_table(tiny: Experiment) -> None:
    [folded] = blocks(part(trial(), tiny, curve([2.0, 1.2], [2.1, 1.0], [0.25, 0.5])), Folded)
    assert isinstance(folded, Folded)
    [table] = folded.blocks
    assert isinstance(table, Table)
    assert table.rows[1] == ("2", "400", "1.000", "1.200", "0.500", "0.01", "0.500 s", "0.250 s")


def test_of_many_epochs_the_last_are_in_the_table(tiny: Experiment) -> None:
    [folded] = blocks(part(trial(), tiny, curve([1.0] * 1200)), Folded)
    assert isinstance(folded, Folded)
    [table] = folded.blocks
    assert isinstance(table, Table)
    assert folded.title == "Its last 500 of 1,200 epochs"
    assert (len(table.rows), table.rows[-1][0]) == (500, "1,200")


def test_what_comes_from_outside_is_escaped_on_a_page(tiny: Experiment) -> None:
    evil = "<script>alert(1)</script>"
    mine = attempts(attempt(evil, 7, 0, 1, why=evil, node=evil))
    shown = part(trial(error=evil, **{"params.schedule": evil}), tiny, curve([1.0]), mine, name=evil)
    assert evil not in page(Document("t", "s", (shown,)))


# --- its curves -------------------------------------------------------------------------------------------


def test_training_and_validation_loss_share_an_axis(tiny: Experiment) -> None:
    drawn = blocks(part(trial(), tiny, curve([2.0, 1.2], [2.1, 1.0], [0.25, 0.5])), Drawing)
    losses, accuracy = drawn
    assert isinstance(losses, Drawing)
    assert isinstance(accuracy, Drawing)
    assert [list(trace.y) for trace in losses.figure.data] == [[2.1, 1.0], [2.0, 1.2]]
    assert [list(trace.y) for trace in accuracy.figure.data] == [[0.25, 0.5]]
    assert accuracy.answer == "Validation accuracy 0.500 after epoch 2."


def test_a_trial_without_accuracies_has_one_figure(tiny: Experiment) -> None:
    assert len(blocks(part(trial(), tiny, curve([1.0])), Drawing)) == 1


def test_the_losses_answer_with_their_ends_and_their_lowest() -> None:
    answer = figures.trial_losses(curve([2.0, 1.2, 1.5], [2.1, 1.4, 1.0]), "adam").layout.meta["answer"]
    assert answer == (
        "Training loss (mean over the epoch) 1.000 after epoch 3; "
        "validation loss 1.500 after epoch 3, lowest 1.200 after epoch 2."
    )


def test_epochs_without_a_validation_leave_no_hole() -> None:
    figure = figures.trial_losses(curve([math.nan, 1.5, math.nan, 1.2], [4.0, 3.0, 2.0, 1.0]), "adam")
    assert list(figure.data[1].x) == [2, 4]
    assert list(figure.data[1].y) == [1.5, 1.2]


@pytest.mark.parametrize("n", [1, 30, 400])
def test_markers_are_drawn_as_long_as_they_can_be_told_apart(n: int) -> None:
    figure = figures.trial_losses(curve(list(np.linspace(2, 1, n))), "adam")
    assert figure.data[0].mode == ("lines+markers" if n <= 30 else "lines")
    assert len(figure.data[0].x) == n


def test_curves_of_nothing_say_so() -> None:
    assert (
        figures.trial_losses(no_epochs(), "adam").layout.meta["answer"] == "No curve: no epoch is recorded."
    )
    diverged = figures.trial_losses(curve([math.nan]), "adam")
    assert diverged.layout.meta["answer"] == "No curve: no epoch has a finite loss."
    unknown = figures.trial_accuracy(curve([1.0]), "adam")
    assert unknown.layout.meta["answer"] == "No curve: no epoch has a finite accuracy."
