"""Learning rate against score: half-decades, the width of the good range, dead settings."""

import math

import numpy as np
import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis.sensitivity import lr_column


def search(lrs: list[float], losses: list[float], optimizer: str = "sgd", **more: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "optimizer": optimizer,
            "number": range(1, len(lrs) + 1),
            "phase": "search",
            "origin": "proposed",
            "state": "complete",
            "params.lr": lrs,
            "val_loss": losses,
            "val_accuracy": 0.4,
            **more,
        }
    )


def test_momentums_learning_rate_is_its_steps_long_run_length() -> None:
    frame = search([0.01, 0.1], [1, 1], "momentum", **{"params.momentum": [0.9, 0.0]})
    assert list(lr_column(frame)) == pytest.approx([0.1, 0.1])
    assert list(lr_column(frame.assign(optimizer="rmsprop"))) == pytest.approx([0.01, 0.1])


def test_each_half_decade_has_its_best() -> None:
    _, bins = analysis.lr_sensitivity(search([1.1e-3, 2e-3, 5e-3, 1.5e-2], [2.0, 1.8, 1.5, 1.9]))
    assert list(bins["best"]) == [1.8, 1.5, 1.9]
    assert list(bins["n"]) == [2, 1, 1]
    assert list(bins["low"]) == pytest.approx([1e-3, 10**-2.5, 1e-2])
    assert (bins["high"] / bins["low"]).to_numpy() == pytest.approx(math.sqrt(10))


def test_a_boundary_belongs_to_the_half_decade_above() -> None:
    _, bins = analysis.lr_sensitivity(search([1e-3, 0.1], [1.0, 2.0]))
    assert list(bins["low"]) == pytest.approx([1e-3, 0.1])


def test_the_width_is_of_the_half_decades_as_good_as_the_best() -> None:
    """A bowl: within 5 % of the best lie the scores of three half-decades of twelve."""
    lrs = list(10 ** (np.arange(12) / 2 - 5.9))
    losses = [1.0 + 0.04 * abs(k - 6) for k in range(12)]
    widths, _ = analysis.lr_sensitivity(search(lrs, losses))
    assert widths["width"].item() == 1.5
    assert widths["best_lr"].item() == pytest.approx(lrs[6])


def test_a_width_takes_twelve_scored_trials() -> None:
    lrs = list(np.geomspace(1e-4, 1, 11))
    widths, _ = analysis.lr_sensitivity(search(lrs, [1.0] * 11))
    assert widths["n"].item() == 11
    assert math.isnan(widths["width"].item())


def test_accuracies_are_as_good_within_two_points() -> None:
    lrs = list(10 ** (np.arange(12) / 2 - 5.9))
    frame = search(lrs, [1.0] * 12).assign(val_accuracy=[0.5, 0.481, 0.479] + [0.3] * 9)
    widths, _ = analysis.lr_sensitivity(frame, objective="val_accuracy")
    assert widths["width"].item() == 1.0


def test_dead_settings_are_counted_not_dropped() -> None:
    frame = search([1e-3, 0.9], [1.5, 1e14], state=["complete", "diverged"])
    widths, bins = analysis.lr_sensitivity(frame)
    assert widths["dead"].item() == 0.5
    assert bins["best"].iloc[1] == pytest.approx(math.log(10))
    assert list(bins["dead"]) == [0.0, 1.0]


def test_optimizers_without_a_learning_rate_have_no_rows() -> None:
    frame = pd.concat([search([1e-3], [1.0]), search([math.nan], [1.2], "random_search")])
    widths, bins = analysis.lr_sensitivity(frame)
    assert list(widths["optimizer"]) == ["sgd"]
    assert list(bins["optimizer"]) == ["sgd"]
