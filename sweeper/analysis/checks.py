"""Was each optimizer searched enough? Optima at a border, and general rules that lose to special cases."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sweeper import scoring
from sweeper.analysis import finals, scores
from sweeper.analysis.comparison import RESULT, compare_each
from sweeper.analysis.decision import Decision
from sweeper.analysis.sensitivity import lr_column
from sweeper.experiment import ArmSpace, Experiment
from sweeper.experiment.searched import dimensions
from sweeper.space import Range

NEAR = 0.1
"""Within this share of a range its end is near."""

RATES = ("lr", "effective_lr", "step")
NATURAL = {("momentum", "low"), ("beta1", "low"), ("beta2", "low"), ("weight_decay", "low")}
"""Ends beyond which there is nothing to find."""

BORDER = ["optimizer", "setting", "side", "value", "bound", "line"]
INCLUDED = {"momentum": ("sgd",), "nesterov": ("sgd",), "adam": ("rmsprop",)}
"""Which rules are special cases of which, the last only nearly."""


def border_check(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Settings whose optimum may lie outside the searched space, with the line to put into the file.

    Frame `optimizer, setting, side, value, bound, line`. The learning rate (or effective lr, or step) when
    the best and the median of the three best settings lie within 10 % of the range from the same bound;
    another range only when all three do. Natural ends (rho 0, b1 0) and choices never.
    """
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )
    rows = []
    for arm in experiment.arms:
        mine = scores.best_first(search[search["optimizer"] == arm.name], experiment.objective).head(3)
        if len(mine) == 3:
            rows += list(_of_arm(arm, mine, experiment))
    return pd.DataFrame(rows, columns=BORDER)


def _of_arm(arm: ArmSpace, best: pd.DataFrame, experiment: Experiment) -> Iterator[tuple[object, ...]]:
    for name, dimension in dimensions(arm, experiment.search.sampler).items():
        if not isinstance(dimension, Range):
            continue
        values = _values(best, name)
        if np.isnan(values).any():
            continue
        places = _places(dimension, values)
        for side, near in (("low", places < NEAR), ("high", places > 1 - NEAR)):
            if (name, side) in NATURAL:
                continue
            median = float(np.median(places))
            is_median_near = median < NEAR if side == "low" else median > 1 - NEAR
            alarms = near[0] and is_median_near if name in RATES else near.all()
            if alarms:
                bound = float(dimension.low if side == "low" else dimension.high)
                yield arm.name, name, side, float(values[0]), bound, _wider(arm, name, dimension, side)


def _values(best: pd.DataFrame, name: str) -> scores.Floats:
    if name != "effective_lr":
        return np.asarray(best[f"params.{name}"], dtype=np.float64)
    return np.asarray(lr_column(best), dtype=np.float64)


def _places(dimension: Range, values: scores.Floats) -> scores.Floats:
    """Where the values lie between the bounds, 0..1 on the range's own scale."""
    low, high = float(dimension.low), float(dimension.high)
    if dimension.scale == "log":
        low, high, values = np.log(low), np.log(high), np.log(values)
    elif dimension.scale == "one_minus_log":
        low, high, values = -np.log1p(-low), -np.log1p(-high), -np.log1p(-values)
    return np.asarray((values - low) / (high - low), dtype=np.float64)


def _wider(arm: ArmSpace, name: str, dimension: Range, side: str) -> str:
    low, high = float(dimension.low), float(dimension.high)
    if dimension.scale == "log":
        low, high = (low / 10, high) if side == "low" else (low, high * 10)
    elif dimension.scale == "one_minus_log":
        low, high = (1 - (1 - low) * 10, high) if side == "low" else (low, 1 - (1 - high) / 10)
        low = max(low, 0.0)
    else:
        width = high - low
        low, high = (low - width, high) if side == "low" else (low, high + width)
    table = "space" if name in arm.shared else f"optimizers.{arm.name}"
    return f"--set {table}.{name}='{{ low = {low:.6g}, high = {high:.6g}, scale = \"{dimension.scale}\" }}'"


def inclusion_check(trials: pd.DataFrame, experiment: Experiment, *, resamples: int = 10_000) -> pd.DataFrame:
    """Where a general rule lost in the finals to a special case inside its searched space.

    Frame `general, special, estimate, low, high, p, decision, line`: the probability that the general rule
    beats the special one, for the pairs in which it does worse by the decision rule. It was tuned too little:
    a warning, not a finding (Choi et al. 2019).
    """
    tests = finals.finals_scores(
        trials,
        objective=experiment.objective,
        loss=experiment.loss.name,
        n_classes=experiment.n_classes,
        repeats=experiment.search.repeats,
    )
    higher = scoring.higher_is_better(experiment.objective)
    rows = []
    for general, specials in INCLUDED.items():
        for special in specials:
            if {general, special} <= tests.keys() and _lies_inside(experiment, general, special):
                found = compare_each(
                    {special: tests[general]},
                    {special: tests[special]},
                    higher_is_better=higher,
                    resamples=resamples,
                ).iloc[0]
                if Decision(found["decision"]).is_worse:
                    n = 2 * experiment.budget.trials_per_optimizer
                    line = f"--set budget.trials_per_optimizer={n}"
                    rows.append((general, special, *(found[name] for name in RESULT), line))
    return pd.DataFrame(rows, columns=["general", "special", *RESULT, "line"])


def _lies_inside(experiment: Experiment, general: str, special: str) -> bool:
    """Whether the special rule is a setting that the general one's search could have found."""
    if experiment.imported:
        return False
    arms = {arm.name: arm for arm in experiment.arms}
    key = {"momentum": "momentum", "nesterov": "momentum", "adam": "beta1"}[general]
    dimension = arms[general].own.get(key)
    if not isinstance(dimension, Range) or dimension.low > 0:
        return False
    mine = arms[general].own.get("effective_lr") or arms[general].own.get("lr")
    theirs = arms[special].own.get("lr")
    if isinstance(mine, Range) and isinstance(theirs, Range):
        return bool(mine.low <= theirs.low and mine.high >= theirs.high)
    return False
