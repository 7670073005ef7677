"""Learning curves: of each optimizer's finals, as bands over their seeds, or of its best trial so far."""

import pandas as pd

from sweeper.analysis import scores
from sweeper.analysis.targets import KEYS, representatives
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
    return _curves(representatives(trials, experiment), epochs, Phase.FINAL, experiment)


def searched_curves(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The curve of the best scored trial of each optimizer's search, the summary's `best_number`.

    The same frame as that of `curves`, with one run each: `mean`, `low` and `high` are its values, `n` is 1.
    Empty where no such trial has recorded an epoch.
    """
    search = scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    bests = [scores.best(mine, experiment.objective) for _, mine in search.groupby("optimizer", sort=False)]
    keys = [(best["optimizer"], best["number"]) for best in bests if best is not None]
    runs = pd.DataFrame(keys, columns=KEYS).astype(dict(trials[KEYS].dtypes))
    return _curves(runs, epochs, Phase.SEARCH, experiment)


def _curves(runs: pd.DataFrame, epochs: pd.DataFrame, phase: Phase, experiment: Experiment) -> pd.DataFrame:
    """The curves over the `runs` of a phase, in the experiment's order."""
    known = epochs[epochs["phase"] == phase].merge(runs[KEYS], on=KEYS)
    spent = (known["train_s"] + known["eval_s"]).groupby([known["optimizer"], known["number"]]).cumsum()
    known = known.assign(seconds=spent, gap=known["val_loss"] - known["train_loss"])
    if known.empty:
        return pd.DataFrame(columns=COLUMNS)
    long = known.melt(["optimizer", "epoch", "seconds"], list(DRAWN), "column", "value").dropna(
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
