"""Tables from elsewhere: read from files as spreadsheets write them, each cell checked where it stands.

Rows are numbered as a spreadsheet numbers them: the headings are row 1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sweeper.analysis import frames
from sweeper.errors import UsageError
from sweeper.optimizers import ARMS
from sweeper.printable import one_line

ACCURACIES = ("val_accuracy", "test_accuracy")

WHOLE = ("number", "setting", "seed", "attempt", "epochs", "samples", "grad_evals", "epoch")

HYPERPARAMETERS = frozenset(key for arm in ARMS.values() for key in (*arm.default, *arm.keys()))


def read(given: pd.DataFrame | Path) -> tuple[pd.DataFrame, str]:
    """A frame, or the one in a file, and what to call it. Raises UsageError for what is no table."""
    if isinstance(given, pd.DataFrame):
        return given.reset_index(drop=True), "trials in memory"
    shown = one_line(str(given))
    try:
        if given.suffix.lower() == ".parquet":
            return pd.read_parquet(given), shown
        if given.suffix.lower() in (".csv", ".tsv"):
            # A semicolon is what spreadsheets write where the comma is the decimal mark.
            return pd.read_csv(given, sep=None, engine="python", encoding="utf-8-sig", dtype=object), shown
    except FileNotFoundError:
        raise UsageError(f"{shown}: no such file") from None
    except OSError as error:
        raise UsageError(f"{shown}: can't be read: {error.strerror}") from None
    except Exception as error:  # pandas', Arrow's and the csv module's own, one for each way to be no table
        cause = one_line(str(error).split("\n")[0])
        raise UsageError(f"{shown}: is no table that can be read: {cause}") from None
    raise UsageError(f"{shown}: must end in .csv, .tsv or .parquet")


def known(
    given: pd.DataFrame,
    columns: Mapping[str, str],
    source: str,
    required: tuple[str, ...],
    problems: list[str],
    notes: list[str],
) -> pd.DataFrame:
    """The columns that mean something, each with the dtype that `columns` gives, where its cells allow that.

    Mistakes go to `problems`, and what is ignored to `notes`.
    """
    names = [str(name).strip() for name in given.columns]
    given = given.set_axis(names, axis="columns")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"{source}: columns {', '.join(doubled)} stand there twice")
        return given.iloc[:, :0]
    problems += [f"{source}: column {name} is missing" for name in required if name not in names]
    taken = [name for name in names if name in columns or name.startswith("params.")]
    for name in names:
        if name in HYPERPARAMETERS and name not in columns:
            notes.append(
                f"{source}: column {name} is ignored; as a hyperparameter it is called params.{name}"
            )
        elif name not in taken:
            notes.append(f"{source}: column {one_line(name)} is ignored: nothing here is called so")
    if not len(given):
        problems.append(f"{source}: no rows")
    typed = {name: _typed(given[name], columns.get(name), source, problems) for name in taken}
    return pd.DataFrame(typed, index=given.index)


def _typed(cells: "pd.Series[Any]", dtype: str | None, source: str, problems: list[str]) -> "pd.Series[Any]":
    """A column with its dtype; mistakes are told by row."""
    name = str(cells.name)
    empty = cells.isna() | (cells.astype("str").str.strip() == "")
    texts = cells.where(~empty)
    if dtype is None:  # a hyperparameter: numbers if all are
        numbers = pd.to_numeric(texts, errors="coerce")
        return numbers if bool((numbers.notna() | empty).all()) else texts.astype("str").where(~empty)
    if dtype == "str":
        return texts.astype("str").str.strip().where(~empty)
    if dtype == "bool":
        return _truths(texts, source, problems)
    if dtype == frames.TIME:
        return _checked(pd.to_datetime(texts, errors="coerce", utc=True), texts, "a time", source, problems)
    numbers = pd.to_numeric(texts, errors="coerce")
    is_special = texts.astype("str").str.lower().isin(["nan", "inf", "-inf", "infinity", "none", "null"])
    legal = "a number; decimals are written 0.5" if name not in WHOLE else "a whole number"
    checked = _checked(numbers, texts.where(~is_special), legal, source, problems)
    wrong = pd.Series(False, index=checked.index)
    if name in WHOLE:
        wrong = checked.notna() & ((checked % 1 != 0) | ((checked < 0) & (name != "seed")))
        legal = "a whole number from 0 on"
    elif name in ACCURACIES:
        wrong = checked.notna() & ((checked < 0) | (checked > 1))
        legal = "an accuracy from 0 to 1; 42 % is written 0.42"
    problems += [problem(source, place, name, texts[place], legal) for place in checked.index[wrong]]
    return checked


def _checked(
    converted: "pd.Series[Any]", texts: "pd.Series[Any]", legal: str, source: str, problems: list[str]
) -> "pd.Series[Any]":
    wrong = converted.isna() & texts.notna()
    problems += [problem(source, place, str(texts.name), texts[place], legal) for place in texts.index[wrong]]
    return converted


def _truths(texts: "pd.Series[Any]", source: str, problems: list[str]) -> "pd.Series[Any]":
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = texts.astype("str").str.strip().str.lower().map(words)
    return _checked(found.where(texts.notna()), texts, "true or false", source, problems)


def problem(source: str, place: int, column: str, cell: object, legal: str) -> str:
    """What is wrong with a cell, and what would be legal."""
    return f"{source} row {int(place) + 2}: {column} = {one_line(str(cell))}: must be {legal}"
