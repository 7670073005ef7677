"""Time to target: linear between epochs, infinite where it is never reached."""

import math
from collections.abc import Callable

import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis import targets
from sweeper.errors import UsageError
from sweeper.experiment import Experiment

CURVES = {("sgd", 0): (0.2, 0.3), ("sgd", 1): (0.2, 0.25), ("adam", 0): (0.4, 0.5), ("adam", 1): (0.3, 0.5)}


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    trials, epochs = [], []
    for (name, number), accuracies in CURVES.items():
        key = {"optimizer": name, "number": number, "phase": "final", "device": "cpu"}
        losses = {"val_loss": 1.0, "test_loss": 1.0, "test_accuracy": 0.3}
        trials.append({**key, "setting": 3, "origin": "final", "state": "complete", **losses})
        for epoch, accuracy in enumerate(accuracies, start=1):
            spent = {"samples": 100 * epoch, "train_s": 2.0, "eval_s": 1.0}
            epochs.append({**key, "epoch": epoch, "val_accuracy": accuracy, **spent})
    return pd.DataFrame(trials), pd.DataFrame(epochs)


def times(target: float, by: str = "epoch", **more: int | None) -> dict[str, tuple[float, int, int]]:
    found = analysis.time_to_target(*frames(), target, by, **more)
    return {row["optimizer"]: (row["median"], row["hits"], row["n"]) for _, row in found.iterrows()}


def test_it_is_linear_between_epochs_and_starts_at_chance() -> None:
    """adam/0 goes from 0.1 to 0.4 in the first epoch, and adam/1 from 0.1 to 0.3."""
    assert times(0.25)["adam"] == (pytest.approx((0.5 + 0.75) / 2), 2, 2)


def test_without_a_chance_level_it_begins_with_the_first_epoch() -> None:
    assert times(0.25, n_classes=None)["adam"] == (1.0, 2, 2)


def test_a_run_that_never_gets_there_is_infinite_in_the_median_too() -> None:
    assert times(0.3)["sgd"] == (math.inf, 1, 2)
    assert times(0.9)["adam"] == (math.inf, 0, 2)


@pytest.mark.parametrize(("by", "per_epoch"), [("samples", 100), ("seconds", 3)])
def test_other_units_are_proportional_here(by: str, per_epoch: float) -> None:
    assert times(0.45, by)["adam"][0] == pytest.approx(per_epoch * times(0.45)["adam"][0])


def test_seconds_on_unlike_devices_are_not_compared() -> None:
    trials, epochs = frames()
    trials.loc[0, "device"] = "gpu"
    assert analysis.time_to_target(trials, epochs, 0.3, "seconds").empty
    assert len(analysis.time_to_target(trials, epochs, 0.3, "samples")) == 2


def test_another_unit_is_refused() -> None:
    with pytest.raises(UsageError, match="epoch, samples, seconds"):
        times(0.3, "hours")


def test_untuned_finals_do_not_count() -> None:
    trials, epochs = frames()
    untuned = trials.assign(setting=0)
    assert analysis.time_to_target(untuned, epochs, 0.3).empty


def test_derived_targets_are_the_median_arms_at_half_and_at_the_end() -> None:
    """Means: sgd .2, .275; adam .35, .5. Of two arms the median is their mean."""
    trials, epochs = frames()
    assert targets.derived_targets(trials, epochs) == (0.275, 0.388)


def test_targets_of_the_experiment_win(make_experiment: Callable[..., Experiment]) -> None:
    trials, epochs = frames()
    arms = ("optimizers.sgd={}", "optimizers.adam={}")
    assert targets.targets(trials, epochs, make_experiment(*arms)) == ((0.275, 0.388), True)
    fixed = make_experiment(*arms, "report.targets=[0.3, 0.4]")
    assert targets.targets(trials, epochs, fixed) == ((0.3, 0.4), False)


def test_the_summary_says_it_of_the_last_target() -> None:
    summary = analysis.summary(*whole(), optimizers=["sgd", "adam"])
    assert list(summary["target"]) == [0.388, 0.388]
    assert list(summary["target_hits"]) == [0, 2]
    assert list(summary["time_to_target"]) == [math.inf, pytest.approx(1.2, abs=0.3)]


def whole() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same with the columns that a summary reads."""
    trials, epochs = frames()
    return trials.assign(val_accuracy=0.5, samples=1, train_s=1.0, eval_s=1.0, seed=1), epochs


def test_seconds_compare_on_one_kind_of_device_only() -> None:
    assert targets.one_device(pd.DataFrame({"device": ["cpu", "cpu"]}))
    assert not targets.one_device(pd.DataFrame({"device": ["cpu", "gpu"]}))
    assert not targets.one_device(pd.DataFrame({"device": ["cpu", None]}))
