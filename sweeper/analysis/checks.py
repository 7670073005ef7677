"""Was each optimizer searched enough? Optima at a border, and general rules that lose to special cases."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sweeper import scoring, space
from sweeper.analysis import finals, scores
from sweeper.analysis.comparison import RESULT, compare_each
from sweeper.analysis.decision import Decision
from sweeper.analysis.sensitivity import lr_column
from sweeper.experiment import ArmSpace, Experiment
from sweeper.experiment.searched import dimensions
from sweeper.space import Dimension, Range

NEAR = 0.1
"""Within this share of a range its end is near."""

RATES = ("lr", "effective_lr", "step")
COSTS = ("batch_size",)
"""What changes how many steps an epoch has: its ends are a choice of the budget, not of the search."""

BORDER = ["optimizer", "setting", "side", "value", "bound", "line"]
INCLUDED = {"momentum": ("sgd",), "nesterov": ("sgd",), "adam": ("rmsprop",)}
"""Which rules are special cases of which, the last only nearly."""


def border_check(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Settings whose optimum may lie outside the searched space, with the line to put into the file.

    Frame `optimizer, setting, side, value, bound, line`. The learning rate (or effective lr, or step) when
    the best and the median of the three best settings lie within 10 % of the range from the same bound;
    another range only when all three do. Natural ends, beyond which nothing is legal (rho 0, b1 0), batch
    sizes and choices never: a naive rule alarms in 34 % of arms with four dimensions by luck.
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
        if not isinstance(dimension, Range) or name in COSTS:
            continue
        values = _values(best, name)
        if np.isnan(values).any():
            continue
        places = _places(dimension, values)
        for side, near in (("low", places < NEAR), ("high", places > 1 - NEAR)):
            median = float(np.median(places))
            is_median_near = median < NEAR if side == "low" else median > 1 - NEAR
            alarms = near[0] and is_median_near if name in RATES else near.all()
            if alarms and (line := _wider(arm, name, dimension, side)):
                bound = float(dimension.low if side == "low" else dimension.high)
                yield arm.name, name, side, float(values[0]), bound, line


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


def _wider(arm: ArmSpace, name: str, dimension: Range, side: str) -> str | None:
    """The setting with a range that goes further on that side; None at a natural end."""
    table = "space" if name in arm.shared else f"optimizers.{arm.name}"
    for end in _further(dimension, side):
        low, high = (end, dimension.high) if side == "low" else (dimension.low, end)
        # What is written is what is checked: rounding must not make it another range, or none.
        low, high = (float(f"{bound:.10g}") for bound in (low, high))
        if dimension.integer:
            low, high = round(low), round(high)
        if _is_legal(name, low, high, dimension.scale) and (low, high) != (dimension.low, dimension.high):
            wider = f'{{ low = {low:.10g}, high = {high:.10g}, scale = "{dimension.scale}" }}'
            return f"--set {table}.{name}='{wider}'"
    return None


def _further(dimension: Range, side: str) -> tuple[float, ...]:
    """Ends beyond this one, the furthest first: a range, or ten times as far, or as far as rates may go."""
    low, high = float(dimension.low), float(dimension.high)
    width = high - low
    if side == "low" and low == 0:
        return ()
    if dimension.scale == "log":
        return (low / 10, 1.0) if side == "low" else (high * 10, (1 + high) / 2)
    if dimension.scale == "one_minus_log":
        return (max(1 - (1 - low) * 10, 0.0),) if side == "low" else (1 - (1 - high) / 10,)
    return (low - width, 0.0, low / 10, 1.0) if side == "low" else (high + width, (1 + high) / 2)


def _is_legal(name: str, low: float, high: float, scale: str) -> bool:
    try:
        space.parse(name, {"low": low, "high": high, "scale": scale})
    except ValueError:
        return False
    return True


def inclusion_check(trials: pd.DataFrame, experiment: Experiment, *, resamples: int = 10_000) -> pd.DataFrame:
    """Where a general rule lost in the finals to a special case inside its searched space.

    Frame `general, special, estimate, low, high, p, decision, line`: the probability that the general rule
    beats the special one, for the pairs in which it does worse by the decision rule. It was tuned too little:
    a warning, not a finding (Choi et al. 2019). The pairs are one family, with p adjusted by Holm.
    """
    tests = finals.finals_scores(
        trials,
        objective=experiment.objective,
        loss=experiment.loss.name,
        n_classes=experiment.n_classes,
        repeats=experiment.search.repeats,
    )
    pairs = [
        (general, special)
        for general, specials in INCLUDED.items()
        for special in specials
        if {general, special} <= tests.keys() and _lies_inside(experiment, general, special)
    ]
    found = compare_each(
        {" ".join(pair): tests[pair[0]] for pair in pairs},
        {" ".join(pair): tests[pair[1]] for pair in pairs},
        higher_is_better=scoring.higher_is_better(experiment.objective),
        resamples=resamples,
    )
    line = f"--set budget.trials_per_optimizer={2 * experiment.budget.trials_per_optimizer}"
    rows = [
        (*pair, *(row[name] for name in RESULT), line)
        for pair, (_, row) in zip(pairs, found.iterrows(), strict=True)
        if Decision(row["decision"]).is_worse
    ]
    return pd.DataFrame(rows, columns=["general", "special", *RESULT, "line"])


def _lies_inside(experiment: Experiment, general: str, special: str) -> bool:
    """Whether the special rule is a setting that the general one's search could have found."""
    if experiment.imported:
        return False
    sampler = experiment.search.sampler
    mine, theirs = experiment.arm(general), experiment.arm(special)
    key = {"momentum": "momentum", "nesterov": "momentum", "adam": "beta1"}[general]
    switched_off = dimensions(mine, sampler).get(key)
    if switched_off is None or not space.contains(switched_off, 0.0):
        return False
    lr = mine.own.get("effective_lr") or mine.own["lr"]
    pairs = [(lr, theirs.own["lr"])]
    pairs += [(mine.space[name], theirs.space[name]) for name in space.SHARED if name in theirs.space]
    return all(_covers(ours, other) for ours, other in pairs)


def _covers(outer: Dimension, inner: Dimension) -> bool:
    """Whether every value of `inner` lies in `outer`."""
    if isinstance(inner, Range) and not isinstance(outer, Range):
        return False
    return all(space.contains(outer, value) for value in space.extremes(inner))
