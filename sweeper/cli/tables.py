"""The tables that people read on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from sweeper import analysis, scoring
from sweeper.analysis.sentences import OBJECTIVES
from sweeper.cli.progress import duration
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import SweepInfo
from sweeper.space import Fixed


def number(value: object) -> str:
    """A number for people: three digits of it, a whole one whole, `-` where there is none."""
    if _is_missing(value):
        return "-"
    if isinstance(value, float) and not (value.is_integer() and abs(value) >= 1):
        return f"{value:.3g}"
    return str(int(value)) if isinstance(value, float) else str(value)


def measured(value: object) -> str:
    """A loss, accuracy or time, with three decimals, so that a column of them lines up."""
    return "-" if _is_missing(value) else f"{value:.3f}"


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def setting(row: pd.Series, names: Sequence[str]) -> str:
    """`lr 0.0021, batch_size 64`: the named hyperparameters that the row has."""
    parts = []
    for name in names:
        value = row.get(f"params.{name}")
        if number(value) != "-":
            parts.append(f"{name} {number(value)}")
    return ", ".join(parts)


class _Plain(Table):
    """A table whose cells are shown as they are, each on one line."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """A row of texts."""
        super().add_row(*(one_line(str(cell)) for cell in cells), **options)


def _table(title: str, *columns: tuple[str, str]) -> Table:
    """A table with columns of (heading, `left` or `right`)."""
    table = _Plain(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left")
    return table


def summary(frame: pd.DataFrame, experiment: Experiment) -> Table:
    """The summary per optimizer, in the experiment's order: no ranking."""
    metric = OBJECTIVES[experiment.objective]
    is_joint = experiment.search.mode == "joint"
    table = _table(
        f"Where the search spent its trials, and the best {metric} there: no comparison"
        if is_joint
        else f"Best {metric} of the settings tried, per optimizer",
        ("optimizer", "left"),
        ("tried", "right"),
        ("best", "right"),
        ("accuracy", "right"),
        ("median", "right"),
        ("IQR", "right"),
        ("untuned", "right"),
        ("dead", "right"),
        ("best setting", "left"),
    )
    searched = searched_names(experiment)
    for _, row in frame.iterrows():
        lost = [f"{row[s]} {s}" for s in ("pruned", "diverged", "failed") if row[s]]
        tried = str(row["scored"]) + (f" ({', '.join(lost)})" if lost else "")
        table.add_row(
            row["optimizer"],
            tried,
            measured(row["best"]),
            measured(row["best_accuracy"]),
            measured(row["median"]),
            measured(row["iqr"]),
            measured(row["untuned"]),
            "-" if pd.isna(row["dead"]) else f"{row['dead']:.0%}",
            setting(row, searched[row["optimizer"]]),
        )
    return table


def finals(frame: pd.DataFrame, experiment: Experiment, verdict: analysis.Verdict) -> Table:
    """The finals per optimizer, in the experiment's order, and where there is a verdict its decisions."""
    judged = "accuracy" if scoring.higher_is_better(experiment.objective) else "loss"
    columns = [
        ("optimizer", "left"),
        ("setting", "right"),
        ("n", "right"),
        (f"test {judged}", "right"),
        ("95 % interval", "right"),
        *([("accuracy", "right")] if judged == "loss" else []),
        ("untuned", "right"),
    ]
    if verdict.is_reached:
        columns += [
            (f"P({verdict.leader} better)", "right"),
            ("p", "right"),
            (f"{verdict.leader} is", "left"),
        ]
    table = _table("Finals: fresh seeds at the best settings, on test images", *columns)
    for _, row in frame[frame["final_n"] > 0].iterrows():
        diverged = f" ({row['final_diverged']} of {row['final_n']} diverged)" if row["final_diverged"] else ""
        cells = [
            row["optimizer"],
            number(row["final_number"]),
            f"{row['final_n']}{diverged}",
            _spread(row["final_mean"], row["final_sd"]),
            f"{measured(row['final_low'])} to {measured(row['final_high'])}",
            *([_spread(row["final_accuracy"], row["final_accuracy_sd"])] if judged == "loss" else []),
            measured(row["untuned_final_mean"]),
        ]
        table.add_row(*cells, *(_decision(row["optimizer"], verdict) if verdict.is_reached else ()))
    return table


def _spread(mean: float, sd: float) -> str:
    return measured(mean) if _is_missing(sd) else f"{measured(mean)} ± {measured(sd)}"


def _decision(optimizer: str, verdict: analysis.Verdict) -> tuple[str, str, str]:
    """What the verdict says of the leader against this optimizer."""
    assert verdict.against is not None
    rows = verdict.against[verdict.against["optimizer"] == optimizer]
    if rows.empty:
        return "", "", "the leader of the search" if optimizer == verdict.leader else "not judged"
    row = rows.iloc[0]
    return f"{row['estimate']:.2f}", f"{row['p']:.2g}", row["decision"]


def searched_names(experiment: Experiment) -> dict[str, list[str]]:
    """For each optimizer the hyperparameters worth showing: lr, its own, and the shared ones searched."""
    names = {}
    for arm in experiment.arms:
        own = [name for name in arm.own if name != "effective_lr"]
        shared = [name for name, dimension in arm.shared.items() if not isinstance(dimension, Fixed)]
        names[arm.name] = list(dict.fromkeys(["lr", *own, *shared]))
    return names


def sweeps(infos: Sequence[SweepInfo]) -> Table:
    """The list of sweeps."""
    table = _table(
        "Sweeps",
        ("name", "left"),
        ("state", "left"),
        ("created", "left"),
        ("trials", "left"),
        ("held by", "left"),
    )
    for info in infos:
        counts = ", ".join(f"{n} {state}" for state, n in info.trials.items() if n)
        table.add_row(info.name, info.state, _ago(info.created_at), counts, info.holder or "-")
    return table


def _ago(moment: datetime) -> str:
    return f"{duration((datetime.now(UTC) - moment).total_seconds())} ago"


def records(title: str, frame: pd.DataFrame, columns: Sequence[str]) -> Table:
    """Some columns of a frame as they are."""
    table = _table(title, *((c, "left" if frame[c].dtype == "str" else "right") for c in columns))
    for _, row in frame.iterrows():
        table.add_row(*(_cell(column, row[column]) for column in columns))
    return table


def _cell(column: str, value: object) -> str:
    if isinstance(value, datetime) and not _is_missing(value):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return measured(value) if column.endswith(("loss", "accuracy", "_s")) else number(value)
