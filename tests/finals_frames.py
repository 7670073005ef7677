"""Frames of made-up sweeps, with finals, for the tests of what is said about them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sweeper.analysis import columns

Scores = Mapping[str, Sequence[float]]

ARMS = ("optimizers.sgd={}", "optimizers.adam={}", "optimizers.rmsprop={}", "final.top_k=1")
TEN = list(np.linspace(-0.05, 0.05, 10))


def near(mean: float) -> list[float]:
    """Ten scores around `mean`, with a standard deviation of 0.034."""
    return [mean + step for step in TEN]


SEARCH = {"sgd": (1.9, 1.8), "adam": (1.5, 1.2), "rmsprop": (1.3, 1.6)}
FINALS = {"sgd": near(1.8), "adam": near(1.25), "rmsprop": near(1.26)}


def row(optimizer: str, number: int, loss: float, **more: object) -> dict[str, object]:
    """A row of the frame `trials`: a complete trial with this validation loss."""
    known = {
        "sweep": "tiny",
        "optimizer": optimizer,
        "number": number,
        "phase": "search",
        "origin": "proposed" if number else "default",
        "independent": number > 0,
        "state": "complete",
        "setting": number,
        "seed": number,
        "samples": 400,
        "val_loss": loss,
        "val_accuracy": 1 - loss / 4,
        "train_loss": loss,
        "test_loss": math.nan,
        "test_accuracy": math.nan,
        "train_s": 1.0,
        "eval_s": 0.5,
        "device": "cpu",
        "error": None,
        "params.lr": 0.01,
    }
    return {**known, **more}


def sweep(search: Scores = SEARCH, finals: Scores = FINALS, **more: object) -> pd.DataFrame:
    """Trial 0 and the scores given of each optimizer, and finals of the best of them."""
    rows = []
    for name, losses in search.items():
        rows += [row(name, k, loss) for k, loss in enumerate([2.2, *losses])]
    for name, losses in finals.items():
        setting = 1 + int(np.argmin(search[name]))
        for k, loss in enumerate(losses):
            final = {"phase": "final", "origin": "final", "setting": setting, "test_loss": loss}
            rows.append(row(name, k, loss, **{**final, "test_accuracy": 1 - loss / 3, **more}))
    return pd.DataFrame(rows)


def untuned(finals: Scores) -> pd.DataFrame:
    """Finals of trial 0's setting, to put beside those of `sweep`."""
    final = {"phase": "final", "origin": "final", "setting": 0}
    rows = [
        row(name, 100 + k, loss, **final, test_loss=loss, test_accuracy=1 - loss / 3)
        for name, losses in finals.items()
        for k, loss in enumerate(losses)
    ]
    return pd.DataFrame(rows)


def no_epochs() -> pd.DataFrame:
    """A frame `epochs` of nothing."""
    return pd.DataFrame({name: [] for name in columns.EPOCHS}).astype(dict(columns.EPOCHS))
