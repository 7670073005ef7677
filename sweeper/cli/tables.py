"""The tables that people read on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.table import Table

from sweeper import analysis, scoring
from sweeper.analysis.sentences import OBJECTIVES
from sweeper.analysis.shown import (
    interval,
    is_missing,
    measured,
    number,
    searched_names,
    setting,
    share,
    spread,
)
from sweeper.cli.progress import duration
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import SweepInfo

if TYPE_CHECKING:
    from sweeper.cluster import SweepJob


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
    searched = searched_names(experiment, frame)
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
            share(row["dead"]),
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
            spread(row["final_mean"], row["final_sd"]),
            interval(row["final_low"], row["final_high"]),
            *([spread(row["final_accuracy"], row["final_accuracy_sd"])] if judged == "loss" else []),
            measured(row["untuned_final_mean"]),
        ]
        table.add_row(*cells, *(_decision(row["optimizer"], verdict) if verdict.is_reached else ()))
    return table


def _decision(optimizer: str, verdict: analysis.Verdict) -> tuple[str, str, str]:
    """What the verdict says of the leader against this optimizer."""
    assert verdict.against is not None
    rows = verdict.against[verdict.against["optimizer"] == optimizer]
    if rows.empty:
        return "", "", "the leader of the search" if optimizer == verdict.leader else "not judged"
    row = rows.iloc[0]
    return f"{row['estimate']:.2f}", f"{row['p']:.2g}", row["decision"]


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


def jobs(found: "Sequence[SweepJob]") -> Table:
    """The list of jobs that run or ran sweeps."""
    table = _table(
        "Jobs",
        ("job", "left"),
        ("sweep", "left"),
        ("state", "left"),
        ("exit status", "right"),
        ("submitted", "left"),
        ("optimizers", "left"),
    )
    for job in found:
        status = "-" if job.exit_status is None else str(job.exit_status)
        submitted = _ago(job.submitted_at) if job.submitted_at else "-"
        optimizers = job.metadata.get("optimizers", "-")
        table.add_row(job.id, job.sweep, job.state, status, submitted, optimizers)
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
    if isinstance(value, datetime) and not is_missing(value):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return measured(value) if column.endswith(("loss", "accuracy", "_s")) else number(value)
