"""The summary against numbers worked out by hand, or by scipy's own functions."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeper import analysis


def trials(*rows: dict[str, object]) -> pd.DataFrame:
    known = {
        "optimizer": "adam",
        "phase": "search",
        "origin": "proposed",
        "state": "complete",
        "setting": 1,
        "train_loss": 1.0,
        "val_loss": 1.0,
        "val_accuracy": 0.5,
        "test_loss": np.nan,
        "test_accuracy": np.nan,
        "samples": 400,
        "train_s": 2.0,
        "eval_s": 1.0,
        "params.lr": 0.01,
    }
    return pd.DataFrame([{"number": k, **known, **row} for k, row in enumerate(rows)])


def final(test_loss: float, **more: object) -> dict[str, object]:
    return {"phase": "final", "origin": "final", "test_loss": test_loss, "val_loss": np.nan, **more}


UNTUNED = {"origin": "default", "val_loss": 1.9}


def test_best_median_and_iqr_are_of_the_proposed_trials() -> None:
    losses = [1.5, 1.1, 1.3, 1.2]
    frame = trials(UNTUNED, *({"val_loss": loss, "params.lr": loss / 100} for loss in losses))
    row = analysis.summary(frame).iloc[0]
    assert row["best"] == 1.1
    assert row["best_number"] == 2
    assert row["params.lr"] == pytest.approx(0.011)
    assert row["median"] == pytest.approx(1.25)
    assert row["iqr"] == pytest.approx(stats.iqr(losses))
    assert row["untuned"] == 1.9
    assert (row["planned"], row["scored"]) == (5, 4)


def test_trial_0_is_never_the_best() -> None:
    frame = trials({"origin": "default", "val_loss": 0.1}, {"val_loss": 1.5})
    assert analysis.summary(frame)["best"].item() == 1.5


def test_a_loss_above_chance_counts_as_chance() -> None:
    frame = trials(UNTUNED, {"val_loss": 1e14}, {"val_loss": np.nan, "state": "diverged"}, {"val_loss": 2.0})
    row = analysis.summary(frame).iloc[0]
    assert row["median"] == pytest.approx(math.log(10))
    assert row["best"] == 2.0
    assert row["diverged"] == 1


def test_an_accuracy_is_the_better_the_higher() -> None:
    frame = trials(UNTUNED, {"val_accuracy": 0.4}, {"val_accuracy": 0.6}, {"val_accuracy": 0.02})
    row = analysis.summary(frame, objective="val_accuracy").iloc[0]
    assert row["best"] == 0.6
    assert analysis.summary(frame.iloc[[0, 3]], objective="val_accuracy")["best"].item() == 0.1


def test_a_setting_is_dead_if_it_diverged_or_is_no_better_than_chance() -> None:
    # 1/10 + 3 sqrt(0.1 * 0.9 / 2,000) = 0.1201
    frame = trials(
        UNTUNED,
        {"val_accuracy": 0.1200},
        {"val_accuracy": 0.1203},
        {"val_accuracy": 0.5, "state": "diverged"},
        {"val_accuracy": 0.5},
    )
    assert analysis.summary(frame, val_size=2_000)["dead"].item() == 0.5


def test_pruned_and_failed_trials_are_counted_but_have_no_score() -> None:
    frame = trials(UNTUNED, {"state": "pruned", "val_loss": 0.1}, {"state": "failed", "val_loss": np.nan}, {})
    row = analysis.summary(frame).iloc[0]
    assert (row["pruned"], row["failed"], row["complete"], row["scored"]) == (1, 1, 2, 1)
    assert row["best"] == 1.0


def test_a_diverged_trial_scores_as_chance_whatever_its_accuracy() -> None:
    lucky = {"val_accuracy": 0.14, "state": "diverged", "params.lr": 1e4}
    row = analysis.summary(trials(UNTUNED, lucky), objective="val_accuracy").iloc[0]
    assert row["best"] == 0.1
    tied = trials(UNTUNED, lucky, {"val_accuracy": 0.05, "params.lr": 0.1})
    assert analysis.summary(tied, objective="val_accuracy")["params.lr"].item() == 0.1


def test_an_optimizer_without_trials_has_its_row_and_an_empty_sweep_its_columns() -> None:
    frame = trials(UNTUNED, {})
    summary = analysis.summary(frame, optimizers=["sgd", "adam"])
    assert list(summary["optimizer"]) == ["sgd", "adam"]
    assert list(summary["complete"]) == [0, 2]
    empty = analysis.summary(frame.iloc[:0])
    assert list(empty.columns) == list(summary.columns)


def test_optimizers_keep_the_frames_order_and_do_not_mix() -> None:
    frame = trials(
        {"optimizer": "sgd", "val_loss": 2.0},
        {"optimizer": "adam", "val_loss": 1.0},
        {"optimizer": "sgd", "val_loss": 1.8},
    )
    summary = analysis.summary(frame)
    assert list(summary["optimizer"]) == ["sgd", "adam"]
    assert list(summary["best"]) == [1.8, 1.0]
    assert list(summary["seconds"]) == [6.0, 3.0]


def test_finals_have_students_interval() -> None:
    losses = [1.0, 1.2, 1.1, 1.5]
    frame = trials(UNTUNED, {}, *(final(loss) for loss in losses))
    row = analysis.summary(frame).iloc[0]
    expected = stats.ttest_1samp(losses, 0).confidence_interval(0.95)
    assert row["final_n"] == 4
    assert row["final_mean"] == pytest.approx(np.mean(losses))
    assert row["final_sd"] == pytest.approx(stats.tstd(losses))
    assert (row["final_low"], row["final_high"]) == pytest.approx((expected.low, expected.high))


def test_finals_of_the_untuned_setting_and_superseded_ones_do_not_count() -> None:
    frame = trials(UNTUNED, {}, final(1.0), final(9.0, setting=0), final(9.0, origin="superseded"))
    row = analysis.summary(frame).iloc[0]
    assert (row["final_n"], row["final_mean"]) == (1, 1.0)
    assert np.isnan(row["final_sd"])


def test_a_final_that_diverges_counts_as_chance() -> None:
    frame = trials(UNTUNED, {}, final(1.0), final(np.nan, state="diverged"))
    row = analysis.summary(frame).iloc[0]
    assert row["final_diverged"] == 1
    assert row["final_mean"] == pytest.approx((1.0 + math.log(10)) / 2)


def test_the_setting_with_the_best_mean_validation_score_represents_the_optimizer() -> None:
    # Setting 2 is ahead on validation, setting 1 on test images: those choose nothing.
    frame = trials(
        UNTUNED,
        *({"val_loss": loss} for loss in (1.0, 1.1)),
        *(final(0.8, setting=1, val_loss=loss) for loss in (1.3, 1.4)),
        *(final(0.9, setting=2, val_loss=loss) for loss in (1.0, 1.5)),
    )
    row = analysis.summary(frame).iloc[0]
    assert (row["best_number"], row["final_number"]) == (1, 2)
    assert (row["final_n"], row["final_mean"], row["final_median"]) == (2, 0.9, 0.9)


def test_of_settings_that_tie_the_lower_number_represents() -> None:
    frame = trials(UNTUNED, {}, {}, final(0.9, setting=2, val_loss=1.0), final(0.8, setting=1, val_loss=1.0))
    assert analysis.summary(frame)["final_number"].item() == 1


def test_each_of_several_searches_has_its_representative() -> None:
    settings = {1: 1.2, 2: 1.0, 3: 1.1, 4: 1.3}  # odd numbers are of search 1, even ones of search 0
    frame = trials(
        UNTUNED,
        *({} for _ in settings),
        *(final(k / 10, setting=k, val_loss=loss, seed=k) for k, loss in settings.items()),
    )
    row = analysis.summary(frame, repeats=2).iloc[0]
    assert (row["final_n"], row["final_mean"]) == (2, pytest.approx(0.25))
    assert np.isnan(row["final_number"])


def test_the_accuracy_of_a_dead_final_is_that_of_guessing() -> None:
    frame = trials(
        UNTUNED, {}, final(1.0, test_accuracy=0.5), final(np.nan, test_accuracy=0.04, state="diverged")
    )
    row = analysis.summary(frame).iloc[0]
    assert row["final_accuracy"] == pytest.approx(0.3)
    assert row["final_accuracy_sd"] == pytest.approx(stats.tstd([0.5, 0.1]))


def test_the_untuned_settings_finals_have_columns_of_their_own() -> None:
    untuned = [final(loss, setting=0, test_accuracy=0.2) for loss in (1.8, 2.0)]
    row = analysis.summary(trials(UNTUNED, {}, final(1.0), *untuned)).iloc[0]
    assert (row["untuned_final_mean"], row["untuned_final_n"]) == (pytest.approx(1.9), 2)
    assert row["untuned_final_sd"] == pytest.approx(stats.tstd([1.8, 2.0]))
    assert row["untuned_final_accuracy"] == pytest.approx(0.2)


def test_finals_scores_are_capped_by_seed_and_of_the_counterpart() -> None:
    frame = trials(
        UNTUNED,
        {},
        final(1.2, seed=9),
        final(1e9, seed=5),
        final(1.0, seed=7, test_accuracy=0.4),
        final(0.1, seed=1, state="failed"),
    )
    scores = analysis.finals_scores(frame)
    assert list(scores) == ["adam"]
    assert list(scores["adam"]) == pytest.approx([math.log(10), 1.0, 1.2])
    accuracies = analysis.finals_scores(frame, objective="val_accuracy")["adam"]
    assert list(accuracies) == pytest.approx([0.1, 0.4, 0.1])
    assert analysis.finals_scores(frame, optimizers=["sgd"]) == {}


def test_without_finals_or_trials_there_is_nan_and_no_warning() -> None:
    row = analysis.summary(trials(UNTUNED)).iloc[0]
    assert np.isnan([row["best"], row["median"], row["iqr"], row["dead"], row["final_mean"]]).all()
    assert row["final_n"] == 0
    assert len(analysis.summary(trials(UNTUNED).iloc[:0])) == 0


@pytest.mark.parametrize(("objective", "behind"), [("val_loss", ["sgd"]), ("val_accuracy", ["adam"])])
def test_an_optimizer_whose_best_is_worse_than_its_defaults_is_named(
    objective: str, behind: list[str]
) -> None:
    frame = trials(
        {"optimizer": "sgd", "origin": "default", "val_loss": 1.0, "val_accuracy": 0.4},
        {"optimizer": "sgd", "val_loss": 1.5, "val_accuracy": 0.6},
        {"optimizer": "adam", "origin": "default", "val_loss": 1.0, "val_accuracy": 0.4},
        {"optimizer": "adam", "val_loss": 0.5, "val_accuracy": 0.2},
        {"optimizer": "nesterov", "origin": "default", "val_loss": 1.0, "val_accuracy": 0.4},
    )
    summary = analysis.summary(frame, objective=objective)
    assert analysis.behind_untuned(summary, objective=objective) == behind


def test_the_order_of_rows_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    rows = [{"val_loss": float(v)} for v in generator.uniform(1, 2, 20)]
    frame = trials(UNTUNED, *rows)
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(analysis.summary(frame), analysis.summary(shuffled))
