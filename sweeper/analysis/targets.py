"""Time to target: when the finals reach a validation accuracy, in epochs, samples or seconds."""

import numpy as np
import pandas as pd

from sweeper.analysis import finals
from sweeper.errors import UsageError
from sweeper.experiment import Experiment
from sweeper.records import Phase

UNITS = ("epoch", "samples", "seconds")
KEYS = ["optimizer", "number"]


def time_to_target(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    target: float,
    by: str = "epoch",
    *,
    n_classes: int | None = 10,
) -> pd.DataFrame:
    """When the finals in `trials` reach the validation accuracy `target`, per optimizer.

    Frame `optimizer, median, hits, n`: the median over the tuned finals, in the unit `by` (epoch, samples or
    seconds of training and evaluation), how many get there, of how many. The accuracy is linear between
    epochs and 1/C at epoch 0 (with unknown `n_classes` it begins with the first epoch). A run that never gets
    there takes for ever, in the median too. Seconds compare only on one kind of device: where these finals
    ran on several, or nobody knows on which, there are no rows. Raises UsageError for another unit.
    """
    if by not in UNITS:
        raise UsageError(f"by {by!r}: must be one of {', '.join(UNITS)}")
    final = trials[(trials["phase"] == Phase.FINAL) & (trials["setting"] != finals.UNTUNED)]
    if by == "seconds" and not one_device(final):
        final = final.iloc[:0]
    curves = dict(iter(_curves(epochs, by).groupby(KEYS)))  # looking runs up by their keys took a second
    rows = []
    for name, runs in final.groupby("optimizer", sort=False):
        times = [
            _reached(curves[name, number], target, n_classes) if (name, number) in curves else np.inf
            for number in runs["number"]
        ]
        rows.append((name, float(np.median(times)), int(np.isfinite(times).sum()), len(times)))
    return pd.DataFrame(rows, columns=["optimizer", "median", "hits", "n"])


def _curves(epochs: pd.DataFrame, by: str) -> pd.DataFrame:
    """The finals' validated epochs with their accuracy and time."""
    final = epochs[epochs["phase"] == Phase.FINAL].sort_values([*KEYS, "epoch"])
    if by == "seconds":
        final = final.assign(seconds=final["train_s"] + final["eval_s"])
        final["seconds"] = final.groupby(KEYS)["seconds"].cumsum()
    return final.assign(time=final[by].astype("float64")).dropna(subset=["val_accuracy", "time"])


def _reached(curve: pd.DataFrame, target: float, n_classes: int | None) -> float:
    accuracy, time = curve["val_accuracy"].to_numpy(), curve["time"].to_numpy()
    if n_classes is not None:
        accuracy, time = np.insert(accuracy, 0, 1 / n_classes), np.insert(time, 0, 0.0)
    places = np.flatnonzero(accuracy >= target)
    if not len(places):
        return float(np.inf)
    first = int(places[0])
    if first == 0:
        return float(time[0])
    share = (target - accuracy[first - 1]) / (accuracy[first] - accuracy[first - 1])
    return float(time[first - 1] + share * (time[first] - time[first - 1]))


def targets(
    trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment
) -> tuple[tuple[float, ...], bool]:
    """The validation accuracies to reach, and whether they are derived from these results.

    Those of `[report] targets`; else what the median optimizer's mean curve reaches at half and at all of the
    epochs. None where no final has recorded an epoch.
    """
    derived = derived_targets(representatives(trials, experiment), epochs)
    if experiment.report.targets:
        return experiment.report.targets if derived else (), False
    return derived, True


def derived_targets(runs: pd.DataFrame, epochs: pd.DataFrame) -> tuple[float, ...]:
    """What the median optimizer's mean curve over the finals `runs` reaches at half and at all of the epochs.

    Validation accuracies with three decimals; none where no final has recorded one.
    """
    final = epochs[(epochs["phase"] == Phase.FINAL) & epochs["val_accuracy"].notna()].merge(
        runs[KEYS], on=KEYS
    )
    if final.empty:
        return ()
    curves = final.groupby(["optimizer", "epoch"])["val_accuracy"].mean().unstack("optimizer")
    median = curves.median(axis=1)
    half = median[median.index <= max(median.index[0], median.index[-1] / 2)].iloc[-1]
    return tuple(dict.fromkeys(round(float(value), 3) for value in (half, median.iloc[-1])))


def representatives(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The rows of `trials` that are scored finals of the settings that represent the optimizers."""
    scored = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    return trials.loc[representing(scored, experiment.objective, experiment.search.repeats).index]


def representing(scored: pd.DataFrame, objective: str, repeats: int) -> pd.DataFrame:
    """Of all optimizers' scored finals those of the settings that represent them."""
    chosen = [
        finals.representing(group, objective, repeats) for _, group in scored.groupby("optimizer", sort=False)
    ]
    return pd.concat(chosen) if chosen else scored


def one_device(trials: pd.DataFrame) -> bool:
    """Whether all these trials ran on one kind of device, so that their seconds compare."""
    return bool(trials["device"].dropna().nunique() == 1 and trials["device"].notna().all())
