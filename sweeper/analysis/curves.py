"""Learning curves of the settings that represent the optimizers, as bands over the finals' seeds."""

import pandas as pd

from sweeper.analysis.targets import representatives
from sweeper.experiment import Experiment
from sweeper.records import Phase

COLUMNS = ["optimizer", "epoch", "seconds", "column", "mean", "low", "high", "n"]
DRAWN = ("train_loss", "val_loss", "val_accuracy", "gap")
"""What is drawn; `gap` is the validation loss less the training loss."""


def curves(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Each representing setting's mean, lowest and highest seed after each epoch.

    Frame `optimizer, epoch, seconds, column, mean, low, high, n`, with `column` one of train_loss, val_loss,
    val_accuracy and gap; `seconds` are those of training and evaluation since the start, mean over seeds.
    Empty where no final has recorded an epoch.
    """
    runs = representatives(trials, experiment)[["optimizer", "number"]]
    final = epochs[epochs["phase"] == Phase.FINAL].merge(runs, on=["optimizer", "number"])
    spent = (final["train_s"] + final["eval_s"]).groupby([final["optimizer"], final["number"]]).cumsum()
    final = final.assign(seconds=spent, gap=final["val_loss"] - final["train_loss"])
    if final.empty:
        return pd.DataFrame(columns=COLUMNS)
    long = final.melt(["optimizer", "epoch", "seconds"], list(DRAWN), "column", "value").dropna(
        subset="value"
    )
    found = (
        long.groupby(["optimizer", "column", "epoch"], sort=False)
        .agg(
            seconds=("seconds", "mean"),
            mean=("value", "mean"),
            low=("value", "min"),
            high=("value", "max"),
            n=("value", "size"),
        )
        .reset_index()
    )
    order = {arm.name: place for place, arm in enumerate(experiment.arms)}
    placed = found.assign(place=found["optimizer"].map(order)).sort_values(["column", "place", "epoch"])
    return placed[COLUMNS].reset_index(drop=True)
