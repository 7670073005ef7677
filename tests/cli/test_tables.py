import math

import pandas as pd
import pytest

from sweeper.cli.tables import measured, number, setting


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
