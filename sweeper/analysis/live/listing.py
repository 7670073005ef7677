"""The table of a sweep's trials, one page of it: sorted, filtered and cut here, whoever shows it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweeper.analysis import shown
from sweeper.experiment import Experiment
from sweeper.records import Phase, TrialState

ROWS = 50
"""Rows of a page."""

MEASURED = ("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy")

NEWEST = "newest"
"""The order without any other: the trial planned last comes first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown: of which optimizer, phase and state, with which words, in which order.

    An empty text is any. `sort` is a column of the frame, or `NEWEST`. Pages are counted from 1.
    """

    optimizer: str = ""
    phase: str = ""
    state: str = ""
    find: str = ""
    sort: str = NEWEST
    descending: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: the frame's `name`, its heading, and whether it holds words."""

    name: str
    heading: str
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One trial in the table: its key, its state, and the texts of its cells."""

    key: str
    state: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page: `n` of `n_all` trials are wanted, those from `first` to `last` are on it."""

    columns: tuple[Column, ...]
    rows: tuple[Listed, ...]
    page: int
    n_pages: int
    n: int
    n_all: int
    first: int
    last: int

    @property
    def words(self) -> str:
        """`51 to 100 of 1,234 trials`; of how many in all, where some are filtered out."""
        if not self.n:
            return f"none of {self.n_all:,} trials"
        of = f" of {self.n_all:,}" if self.n < self.n_all else ""
        return f"{self.first:,} to {self.last:,} of {self.n:,}{of} trials"

    @property
    def earlier(self) -> int | None:
        """The page before this one, if there is one."""
        return self.page - 1 if self.page > 1 else None

    @property
    def later(self) -> int | None:
        """The page after this one, if there is one."""
        return self.page + 1 if self.page < self.n_pages else None


def choices(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """What trials can be filtered by: the fields of `Wanted`, each with its values."""
    return {
        "optimizer": tuple(arm.name for arm in experiment.arms),
        "phase": tuple(str(phase) for phase in Phase),
        "state": tuple(str(state) for state in TrialState),
    }


def listing(trials: pd.DataFrame, experiment: Experiment, wanted: Wanted) -> Listing:
    """The page that is wanted of the frame `trials`; the last one where there are fewer.

    Trials without a value come last, whichever the order.
    """
    columns = _columns(trials, experiment)
    found = _sorted(trials[_is_wanted(trials, wanted)], columns, wanted)
    n_pages = max(math.ceil(len(found) / ROWS), 1)
    page = min(max(wanted.page, 1), n_pages)
    begin = (page - 1) * ROWS
    rows = found.iloc[begin : begin + ROWS]
    return Listing(
        columns=columns,
        rows=tuple(_listed(row, columns) for _, row in rows.iterrows()),
        page=page,
        n_pages=n_pages,
        n=len(found),
        n_all=len(trials),
        first=begin + 1 if len(rows) else 0,
        last=begin + len(rows),
    )


def _columns(trials: pd.DataFrame, experiment: Experiment) -> tuple[Column, ...]:
    searched = shown.searched_names(experiment, trials)
    names = dict.fromkeys(name for mine in searched.values() for name in mine)
    known = [name for name in names if f"params.{name}" in trials.columns]
    has_finals = bool((trials["phase"] == Phase.FINAL).any())
    return (
        Column("key", "trial", is_text=True),
        Column("state", "state", is_text=True),
        Column("epochs", "epochs"),
        Column("train_loss", "training loss"),
        Column("val_loss", "validation loss"),
        Column("val_accuracy", "accuracy"),
        *((Column("test_loss", "test loss"), Column("test_accuracy", "test accuracy")) if has_finals else ()),
        *(Column(f"params.{name}", name, not _is_number(trials[f"params.{name}"])) for name in known),
        Column("wall_s", "seconds"),
        Column("worker", "worker", is_text=True),
        Column("started_at", "started, UTC"),
    )


def _is_number(column: "pd.Series[float]") -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def _is_wanted(trials: pd.DataFrame, wanted: Wanted) -> "pd.Series[bool]":
    keep = pd.Series(data=True, index=trials.index, dtype=bool)
    for column in ("optimizer", "phase", "state"):
        if value := getattr(wanted, column):
            keep &= trials[column] == value
    if words := wanted.find.strip():
        keep &= _holds(keys(trials), words) | _holds(trials["worker"], words) | _holds(trials["error"], words)
    return keep


def _holds(column: "pd.Series[str]", words: str) -> "pd.Series[bool]":
    return column.fillna("").str.contains(words, case=False, regex=False)


def keys(trials: pd.DataFrame) -> "pd.Series[str]":
    """Each trial's key as it is written everywhere: `adam/7`, `adam/final/3`."""
    phase = np.where(trials["phase"] == Phase.FINAL, "/final/", "/")
    return trials["optimizer"] + phase + trials["number"].astype("str")


def _sorted(trials: pd.DataFrame, columns: tuple[Column, ...], wanted: Wanted) -> pd.DataFrame:
    if wanted.sort not in [column.name for column in columns]:
        return trials.iloc[::-1]
    by = ["optimizer", "phase", "number"] if wanted.sort == "key" else [wanted.sort]
    return trials.sort_values(by, ascending=not wanted.descending, na_position="last", kind="stable")


def _listed(row: "pd.Series[Any]", columns: tuple[Column, ...]) -> Listed:
    phase = "/final/" if row["phase"] == Phase.FINAL else "/"
    key = f"{row['optimizer']}{phase}{row['number']}"
    cells = tuple(_cell(column, row) for column in columns[1:])
    return Listed(key, str(row["state"]), (key, *cells))


def _cell(column: Column, row: "pd.Series[Any]") -> str:
    value = row[column.name]
    if shown.is_missing(value):
        return shown.NOTHING
    if column.name == "started_at":
        return f"{value:%m-%d %H:%M:%S}"
    if column.name in MEASURED:
        return shown.measured(value)
    return f"{value:.1f}" if column.name == "wall_s" else shown.number(value)
