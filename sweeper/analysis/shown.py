"""Numbers and settings as people read them, the same in every table: terminal, report, notebook."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from sweeper.experiment import Experiment
from sweeper.space import Fixed

NOTHING = "-"
"""What stands where there is no number."""


def is_missing(value: object) -> bool:
    """Whether there is no value: None, NaN or no time."""
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def number(value: object) -> str:
    """A number for people: three digits of it, a whole one whole, `-` where there is none."""
    if is_missing(value):
        return NOTHING
    if isinstance(value, float) and not (value.is_integer() and abs(value) >= 1):
        return f"{value:.3g}"
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) else str(value)


def measured(value: object) -> str:
    """A loss, accuracy or time, with three decimals, so that a column of them lines up."""
    return NOTHING if is_missing(value) else f"{value:.3f}"


def share(value: float) -> str:
    """A share, in whole percent."""
    return NOTHING if is_missing(value) else f"{value:.0%}"


def count(value: object) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if is_missing(value) else f"{value:,.0f}"


def spread(mean: object, sd: object) -> str:
    """`0.431 ± 0.010`; the mean alone where there is no standard deviation."""
    return measured(mean) if is_missing(sd) else f"{measured(mean)} ± {measured(sd)}"


def interval(low: object, high: object) -> str:
    """`0.421 to 0.441`."""
    return NOTHING if is_missing(low) else f"{measured(low)} to {measured(high)}"


def duration(seconds: float) -> str:
    """`1 h 5 min`, `3 min 20 s` or `12 s`; the smaller unit only below an hour."""
    if is_missing(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def setting(row: pd.Series, names: Sequence[str]) -> str:
    """`lr 0.0021, batch_size 64`: the named hyperparameters that the row has."""
    parts = []
    for name in names:
        value = row.get(f"params.{name}")
        if number(value) != NOTHING:
            parts.append(f"{name} {number(value)}")
    return ", ".join(parts)


def searched_names(experiment: Experiment, frame: pd.DataFrame | None = None) -> dict[str, list[str]]:
    """For each optimizer the hyperparameters worth showing: lr, its own, and the shared ones searched.

    Of imported results nobody knows which were searched: all of `frame`.
    """
    if experiment.imported:
        columns = [] if frame is None else [c for c in frame.columns if str(c).startswith("params.")]
        return {arm.name: [str(c).removeprefix("params.") for c in columns] for arm in experiment.arms}
    names = {}
    for arm in experiment.arms:
        own = [name for name in arm.own if name != "effective_lr"]
        shared = [name for name, dimension in arm.shared.items() if not isinstance(dimension, Fixed)]
        names[arm.name] = list(dict.fromkeys(["lr", *own, *shared]))
    return names


def plain(value: Any) -> Any:
    """A frame's cell for JSON: a number that is not finite, or a missing time, is None."""
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows for JSON: hyperparameters that a row has under `params`, NaN as null."""
    result = []
    for record in frame.to_dict("records"):
        cells = {str(key): plain(value) for key, value in record.items()}
        params = {key.removeprefix("params."): v for key, v in cells.items() if key.startswith("params.")}
        row = {key: value for key, value in cells.items() if not key.startswith("params.")}
        if params:
            row["params"] = {key: value for key, value in params.items() if value is not None}
        result.append(row)
    return result


def iso(moment: datetime) -> str:
    """ISO 8601 with microseconds and offset."""
    return moment.isoformat(timespec="microseconds")


def jsonable(value: Any) -> Any:
    """What `json` doesn't know by itself: times, numpy's numbers, mappings that aren't dicts."""
    if isinstance(value, datetime):
        return iso(value)
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
