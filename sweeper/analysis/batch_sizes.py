"""The search within each batch size: at a fixed number of epochs a small batch takes more steps, and wins."""

import pandas as pd

from sweeper.analysis import scores
from sweeper.experiment import Experiment

COLUMNS = ["batch_size", "optimizer", "n", "best", "best_number", "median"]
PARAM = "params.batch_size"


def within_batch_size(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """A row per batch size and optimizer: how many scored trials, the best of them, their median.

    Frame `batch_size, optimizer, n, best, best_number, median`, scores as in `summary`; empty where all
    trials have one batch size. Optimizers whose steps see other batches have no rows.
    """
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )
    if PARAM not in search.columns or search[PARAM].nunique() < 2:
        return pd.DataFrame(columns=COLUMNS)
    order = [arm.name for arm in experiment.arms]
    rows = []
    for (size, name), group in search.dropna(subset=[PARAM]).groupby([PARAM, "optimizer"]):
        best = scores.best_first(group, experiment.objective).iloc[0]
        rows.append((size, name, len(group), best["score"], best["number"], group["score"].median()))
    found = pd.DataFrame(rows, columns=COLUMNS)
    place = found["optimizer"].map({name: k for k, name in enumerate(order)})
    return found.assign(place=place).sort_values(["batch_size", "place"])[COLUMNS].reset_index(drop=True)
