"""How hard an optimizer is to tune: the best to expect after k tries, and who would win the search again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweeper import scoring
from sweeper.analysis import scores
from sweeper.analysis.progress import progress
from sweeper.errors import UsageError
from sweeper.experiment import Experiment

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Independent:
    """The scores of each optimizer's independent trials; without any, `reason` says why.

    `note` is what a reader must know of them.
    """

    scores: Mapping[str, Floats]
    reason: str | None = None
    note: str | None = None


def independent_scores(trials: pd.DataFrame, experiment: Experiment) -> Independent:
    """The scores that expected best and win probability may be made of: those of independent trials.

    The untuned trial is left out, and so are optimizers with a budget of their own.
    """
    if reason := _why_none(trials, experiment):
        return Independent({}, reason)
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )
    drawn = search[search["independent"] & search["score"].notna()]
    names = [arm.name for arm in experiment.arms if arm.steps is None]
    found = {name: drawn.loc[drawn["optimizer"] == name, "score"].to_numpy() for name in names}
    if min((len(values) for values in found.values()), default=0) < 2:
        return Independent({}, "some optimizer has fewer than two independent trials with a score.")
    return Independent(found, note=_note(experiment, found))


def _why_none(trials: pd.DataFrame, experiment: Experiment) -> str | None:
    search = experiment.search
    if experiment.imported:
        if experiment.imported.independent:
            return None
        return "how the imported settings were proposed is not known (`--proposals independent` says so)."
    if search.mode == "joint":
        return "the joint search gave the optimizers unequal numbers of trials."
    if search.pruner != "none":
        return f"pruned trials ({search.pruner}) have no score, so the scores that are left flatter."
    if search.sampler == "grid":
        return "a grid's trials are not independent draws."
    if not progress(trials, experiment).searched_all:
        return "the search is not over."
    return None


def _note(experiment: Experiment, found: Mapping[str, Floats]) -> str | None:
    if experiment.search.sampler == "qmc":
        return "Proposals by qmc are spread more evenly than random ones: these numbers hold approximately."
    if experiment.search.sampler == "tpe":
        n = max(len(values) for values in found.values())
        return f"Of the first {n} trials, which were drawn independently; TPE's guided ones don't count here."
    return None


def expected_best(
    scores: Sequence[float] | Floats,
    k: int | None = None,
    *,
    higher_is_better: bool,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """The best score to expect after k random trials; None: for each k from 1 to the number of scores.

    Frame `k, mean, low, high`. The mean is the U-statistic over all subsets of k, unbiased (Tang et al.
    2020); low..high is a 95 % percentile bootstrap, which for each k of many is made at the k of `spread` and
    linear in between. Only for scores of independent proposals. Raises
    UsageError for scores that aren't numbers, and for a k that is not from 1 to their number.
    """
    values = _sorted("scores", scores, higher_is_better)
    n = len(values)
    if k is not None and not 1 <= k <= n:
        raise UsageError(f"k = {k}: must be from 1 to {n}, the number of scores")
    ks = np.arange(1, n + 1) if k is None else np.array([k])
    weights = _weights(n, ks)
    means = weights @ values
    generator = np.random.default_rng(seed)
    drawn = np.sort(generator.choice(values, (resamples, n)), axis=1)
    at = spread(n) if k is None else ks
    ends = np.quantile(drawn @ weights[np.searchsorted(ks, at)].T, [0.025, 0.975], axis=0)
    low, high = (np.interp(ks, at, end) for end in ends)
    if not higher_is_better:
        means, low, high = -means, -high, -low
    return pd.DataFrame({"k": ks, "mean": means, "low": low, "high": high})


def spread(n: int) -> npt.NDArray[np.int_]:
    """Numbers of trials from 1 to `n`: all up to 128, then so many that two are at most 3 % apart."""
    most = np.geomspace(1, n, 1 + math.ceil(math.log(max(n, 2)) / math.log(1.02))).round().astype(int)
    return np.unique(np.concatenate([np.arange(1, min(n, 128) + 1), most]))


def _weights(n: int, ks: npt.NDArray[np.int_]) -> Floats:
    """C(i - 1, k - 1) / C(n, k), a row per k and a column per i = 1..n, by a recurrence from n down."""
    weights = np.zeros((len(ks), n))
    weights[:, -1] = ks / n
    for i in range(n - 1, 0, -1):
        weights[:, i - 1] = weights[:, i] * np.maximum(i - ks + 1, 0) / i
    return weights


def win_probability(
    scores_by_optimizer: Mapping[str, Sequence[float] | Floats],
    k: int,
    *,
    higher_is_better: bool,
    resamples: int = 2000,
    seed: int = 0,
) -> "pd.Series[float]":
    """The probability of each optimizer to have the best score after k trials each: a Series of sum 1.

    By bootstrap: k scores of each are drawn with replacement, and the best of all wins; ties are split.
    Neither names nor the order of optimizers or scores matter, but for optimizers of which two have equal
    scores. Raises UsageError for scores that aren't numbers and for a k below 1.
    """
    if k < 1:
        raise UsageError(f"k = {k}: must be a number of trials from 1")
    values = {
        name: _sorted(f"scores of {name}", scores, higher_is_better)
        for name, scores in scores_by_optimizer.items()
    }
    # Which optimizer draws from which stream must not depend on the order in which they are given.
    streams = sorted(values, key=lambda name: values[name].tolist())
    bests = np.stack(
        [
            np.random.default_rng([seed, streams.index(name)]).choice(scores, (resamples, k)).max(axis=1)
            for name, scores in values.items()
        ]
    )
    wins = bests == bests.max(axis=0)
    return pd.Series((wins / wins.sum(axis=0)).mean(axis=1), index=list(values))


def _sorted(name: str, scores: Sequence[float] | Floats, higher_is_better: bool) -> Floats:
    """The scores from the worst to the best, each the larger the better."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError(f"{name}: must be one or more finite numbers")
    return np.sort(values if higher_is_better else -values)


def incumbents(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The best so far after each scored trial: `optimizer, number, best`."""
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    ).sort_values("number")
    bests = search.groupby("optimizer", sort=False)["score"]
    best = bests.cummax() if scoring.higher_is_better(experiment.objective) else bests.cummin()
    return search.assign(best=best)[["optimizer", "number", "best"]].reset_index(drop=True)


def tries_until(curve: pd.DataFrame, target: float, *, higher_is_better: bool) -> int | None:
    """The fewest tries after which the expected best reaches `target`; None where not even all do."""
    reached = curve["mean"] >= target if higher_is_better else curve["mean"] <= target
    return int(curve.loc[reached, "k"].iloc[0]) if reached.any() else None


def common_target(curves: Mapping[str, pd.DataFrame], *, higher_is_better: bool) -> float:
    """The best score that every optimizer's expected best reaches."""
    lasts = [float(curve["mean"].iloc[-1]) for curve in curves.values()]
    return min(lasts) if higher_is_better else max(lasts)
