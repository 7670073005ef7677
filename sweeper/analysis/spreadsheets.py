"""Tables from elsewhere: read from files as spreadsheets write them, each cell checked where it stands.

Rows are numbered as a spreadsheet numbers them: the headings are row 1.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sweeper import space
from sweeper.analysis import columns
from sweeper.errors import UsageError
from sweeper.experiment.wording import suggestion
from sweeper.optimizers import ARMS
from sweeper.printable import one_line

ACCURACIES = ("val_accuracy", "test_accuracy")

LARGEST = 10**9
"""No count is larger: the store keeps them in 32 bits."""

WHOLE: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("number", "setting", "epochs"), (0, LARGEST)),
    "attempt": (0, LARGEST),
    "epoch": (1, LARGEST),
    "samples": (0, 2**53),
    "grad_evals": (0, 2**53),
    "seed": (-(2**63), 2**63 - 1),
}
"""The least and the largest value of each column of whole numbers."""

HYPERPARAMETERS = frozenset(key for arm in ARMS.values() for key in (*arm.default, *arm.keys()))

SEPARATORS = (",", ";", "\t", "|")

DATE_HINT = "a time such as 2026-03-01T12:00:00+00:00"

NO_NUMBERS = ("nan", "inf", "-inf", "+inf", "infinity", "-infinity", "none", "null")
"""What a cell may say where a number isn't finite or isn't there."""


def read(given: pd.DataFrame | Path) -> tuple[pd.DataFrame, str]:
    """A frame, or the one in a file, and what to call it. Raises UsageError for what is no table.

    Rows in which every cell is empty are left out; the others keep their places as the frame's index.
    """
    if isinstance(given, pd.DataFrame):
        return given.reset_index(drop=True), "trials in memory"
    shown = one_line(str(given))
    try:
        if given.suffix.lower() == ".parquet":
            return pd.read_parquet(given).reset_index(drop=True), shown
        if given.suffix.lower() in (".csv", ".tsv"):
            return _read_text(given), shown
    except FileNotFoundError:
        raise UsageError(f"{shown}: no such file") from None
    except OSError as error:
        raise UsageError(f"{shown}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown}: is no text in UTF-8 (byte {error.start}): save it as CSV UTF-8") from None
    except Exception as error:  # pandas', Arrow's and the csv module's own, one for each way to be no table
        cause = one_line(str(error).split("\n")[0])
        raise UsageError(f"{shown}: is no table that can be read: {cause}") from None
    raise UsageError(f"{shown}: must end in .csv, .tsv or .parquet")


def _read_text(path: Path) -> pd.DataFrame:
    """A table of text cells. The headings are a row like any other, so that pandas renames none of them."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline().strip()
    is_hint = re.fullmatch(r"sep=(.)", first)  # how a spreadsheet is told the separator: no row of its own
    separator = is_hint[1] if is_hint else max(SEPARATORS, key=first.count)
    cells = pd.read_csv(
        path,
        sep=separator,
        encoding=encoding,
        dtype=object,
        header=None,
        skip_blank_lines=False,
        skiprows=1 if is_hint else 0,
    )
    headings = ["" if pd.isna(name) else str(name) for name in cells.iloc[0]]
    rows = cells.iloc[1:].set_axis(headings, axis="columns").reset_index(drop=True)
    return rows[rows.notna().any(axis="columns")]


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
    meaning = [name for name in names if name in columns or _is_setting(name)]
    if doubled := sorted({name for name in meaning if meaning.count(name) > 1}):
        problems.append(f"{source}: columns {', '.join(map(one_line, doubled))} stand there twice")
        return pd.DataFrame(index=given.index)
    others = list(dict.fromkeys(name for name in names if name not in meaning))
    problems += [
        f"{source}: column {name} is missing{suggestion(name.lower(), [one_line(o) for o in others])}"
        for name in required
        if name not in names
    ]
    notes += [_ignored(name, source) for name in others if not given[[name]].isna().all(axis=None)]
    if not len(given):
        problems.append(f"{source}: no rows")
    problems += [
        f"{row(source, place)} {name} is empty"
        for name in required
        if name in meaning
        for place in given.index[_is_empty(given[name])]
    ]
    typed = {name: _typed(given[name], columns.get(name), source, problems) for name in meaning}
    return pd.DataFrame(typed, index=given.index)


def _is_setting(name: str) -> bool:
    """Whether a column holds a hyperparameter."""
    return name.startswith("params.") and name != "params."


def _ignored(name: str, source: str) -> str:
    if name in HYPERPARAMETERS:
        return f"{source}: column {name} is ignored; as a hyperparameter it is called params.{name}"
    return f"{source}: column {one_line(name) or 'without a heading'} is ignored: nothing here is called so"


def _is_empty(cells: "pd.Series[Any]") -> "pd.Series[bool]":
    return cells.isna() | (cells.astype("str").str.strip() == "")


def _typed(cells: "pd.Series[Any]", dtype: str | None, source: str, problems: list[str]) -> "pd.Series[Any]":
    """A column with its dtype; mistakes are told by row."""
    name = str(cells.name)
    empty = _is_empty(cells)
    texts = cells.where(~empty)
    if dtype is None:
        return _setting(texts, source, problems)
    if dtype == "str":
        return texts.astype("str").str.strip().where(~empty)
    if dtype == "bool":
        return _truths(texts, source, problems)
    if dtype == columns.TIME:
        moments = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
        return _checked(moments, texts, DATE_HINT, source, problems)
    if name in WHOLE:
        return _whole(texts, source, problems)
    checked = _numbers(texts, "a number; decimals are written 0.5", source, problems)
    if name in ACCURACIES:
        wrong = checked.notna() & ((checked < 0) | (checked > 1))
        legal = "an accuracy from 0 to 1; 42 % is written 0.42"
        problems += [problem(source, place, name, texts[place], legal) for place in checked.index[wrong]]
    return checked


def _setting(texts: "pd.Series[Any]", source: str, problems: list[str]) -> "pd.Series[Any]":
    """A hyperparameter: numbers if all are, and if its name says that all must be."""
    known = space.HYPERPARAMETERS.get(str(texts.name).removeprefix("params."))
    if known is not None and known.kind is not str:
        return _numbers(texts, "a number; decimals are written 0.5", source, problems)
    if pd.api.types.is_bool_dtype(texts.dropna().infer_objects()):
        return texts
    numbers = pd.to_numeric(texts, errors="coerce")
    return (
        numbers if bool((numbers.notna() | texts.isna()).all()) else texts.astype("str").where(texts.notna())
    )


def _numbers(texts: "pd.Series[Any]", legal: str, source: str, problems: list[str]) -> "pd.Series[Any]":
    numbers = pd.to_numeric(texts, errors="coerce")
    unread = texts[numbers.isna() & texts.notna()]
    if len(unread):
        is_told = ~unread.astype("str").str.strip().str.lower().isin(NO_NUMBERS)
        _checked(numbers.loc[unread.index[is_told]], unread[is_told], legal, source, problems)
    return numbers


def _whole(texts: "pd.Series[Any]", source: str, problems: list[str]) -> "pd.Series[Any]":
    """Whole numbers, exact to the last digit, as nullable integers."""
    name = str(texts.name)
    least, largest = WHOLE[name]
    legal = f"a whole number from {least:,} to {largest:,}"
    numbers = pd.to_numeric(texts.where(texts.notna(), "0"), errors="coerce")
    if not pd.api.types.is_integer_dtype(numbers):
        numbers = _numbers(texts, legal, source, problems)
    fits = (numbers >= least) & (numbers <= largest) & (numbers % 1 == 0)
    wrong = numbers.notna() & texts.notna() & ~fits
    problems += [problem(source, place, name, texts[place], legal) for place in texts.index[wrong]]
    return numbers.where(fits, 0).astype("Int64").where(texts.notna() & fits)


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


def row(source: str, place: int) -> str:
    """Where something stands: the headings are row 1."""
    return f"{source} row {int(place) + 2}:"


def problem(source: str, place: int, column: str, cell: object, legal: str) -> str:
    """What is wrong with a cell, and what would be legal."""
    return f"{row(source, place)} {column} = {one_line(str(cell))}: must be {legal}"
