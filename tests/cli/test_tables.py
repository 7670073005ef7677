import json
import math
from collections.abc import Callable

import pandas as pd
import pytest
from typer.testing import CliRunner

from sweeper.analysis.shown import measured, number, setting
from sweeper.api import Sweep
from sweeper.cli import app
from sweeper.records import SweepState
from sweeper.store import Store

MakeSweep = Callable[..., Sweep]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9, "0.9"),
        (0.0021049, "0.0021"),
        (2.3e-6, "2.3e-06"),
        (0.0, "0"),
        (1024.0, "1024"),
        (64, "64"),
        (None, "-"),
        (math.nan, "-"),
        (pd.NaT, "-"),
        ("cpu", "cpu"),
    ],
)
def test_hyperparameters_have_three_digits_and_whole_numbers_are_whole(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.23456, "1.235"), (0.09, "0.090"), (math.nan, "-")])
def test_measured_values_have_three_decimals(value: float, text: str) -> None:
    assert measured(value) == text


def test_a_setting_names_what_the_optimizer_has() -> None:
    row = pd.Series({"params.lr": 0.01, "params.momentum": math.nan, "params.batch_size": 128.0})
    assert setting(row, ["lr", "momentum", "batch_size", "eps"]) == "lr 0.01, batch_size 128"


# --- a whole sweep ----------------------------------------------------------------------------------------


@pytest.fixture
def status(store: Store) -> Callable[..., str]:
    def call(*words: str) -> str:
        result = CliRunner().invoke(app, ["status", "s", *words, "--store", store.url])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return call


def test_finals_and_verdict_follow_the_summary(make_sweep: MakeSweep, status: Callable[..., str]) -> None:
    make_sweep()
    shown = " ".join(status().split())
    assert "Finals: fresh seeds at the best settings, on test images" in shown
    assert "P(adam better) p adam is" in shown
    assert "sgd 2 6 1.825 ± 0.019 1.805 to 1.845 0.392 ± 0.006 - 1.00 0.0022 better" in shown
    assert "the leader of the search" in shown
    assert "sgd is worse than adam (test loss 1.825 against 1.225" in shown
    assert "Synthetic images: this shows how Sweeper works" in shown


def test_the_json_has_the_verdict_and_the_finals_columns(
    make_sweep: MakeSweep, status: Callable[..., str]
) -> None:
    make_sweep()
    answer = json.loads(status("--json"))
    assert answer["verdict"]["leader"] == "adam"
    (against,) = answer["verdict"]["against"]
    assert (against["optimizer"], against["decision"], against["n"]) == ("sgd", "better", 6)
    sgd, adam = answer["summary"]
    assert (sgd["final_number"], adam["final_number"]) == (2, 1)
    assert (adam["final_n"], adam["untuned_final_mean"], adam["untuned_final_n"]) == (6, None, 0)
    assert adam["final_accuracy"] == pytest.approx(1 - 1.225 / 3)


def test_while_finals_are_missing_nothing_is_ranked(
    make_sweep: MakeSweep, status: Callable[..., str]
) -> None:
    make_sweep(n_finals=2, state=None)
    shown = status()
    assert "No verdict yet: waiting for 8 of 12 finals." in shown
    assert "fresh seeds" not in shown
    verdict = json.loads(status("--json"))["verdict"]
    assert verdict["against"] is None
    assert verdict["lines"][0] == "No verdict yet: waiting for 8 of 12 finals."


def test_a_stopped_sweep_says_what_it_left_out(make_sweep: MakeSweep, status: Callable[..., str]) -> None:
    make_sweep("budget.max_seconds=5", n_finals=2, state=SweepState.STOPPED)
    shown = " ".join(status().split())
    assert "Stopped: 0 of 6 trials and 8 of 12 finals were left out" in shown
    assert "`sweeper resume s --set budget.max_seconds=N` goes on" in shown


def test_finals_do_not_count_as_trials_of_the_search(
    make_sweep: MakeSweep, status: Callable[..., str]
) -> None:
    make_sweep("budget.trials_per_optimizer=9", state=None)
    assert "So far 6 of 18 trials." in status()


def test_a_pruner_is_told_with_what_it_favours(make_sweep: MakeSweep, status: Callable[..., str]) -> None:
    make_sweep('search.pruner="asha"')
    assert "0 of 6 trials were pruned (asha)" in status()
    assert "favours settings that start fast" in " ".join(status().split())


def test_a_joint_search_shows_the_one_best_setting_and_no_comparison(
    make_sweep: MakeSweep, status: Callable[..., str]
) -> None:
    make_sweep('search.mode="joint"')
    shown = " ".join(status().split())
    assert "Where the search spent its trials" in shown
    assert (
        "The best of the 4 settings tried, over all optimizers: adam/1, lr 0.002, beta1 0.9, beta2 0.999, "
        "batch_size 64, validation loss 1.200." in shown
    )
    assert "No verdict in mode joint" in shown
    assert "P(adam better)" not in shown
