"""Writes the comparison of one sweep, or of two, to a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.api.sweep import StoreLocation, load
from sweeper.errors import UsageError

if TYPE_CHECKING:
    from sweeper.analysis.report import Report, Sides

FORMATS = ("html", "md", "json")


def format_of(path: Path) -> str:
    """The format that a report's file name asks for. Raises UsageError for another suffix."""
    found = path.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        raise UsageError(f"report {path}: its name must end in .html, .md or .json")
    return found


def require_writable(path: Path) -> None:
    """Raises UsageError where no report can be written to `path`: before anything is spent."""
    format_of(path)
    if path.is_dir():
        raise UsageError(f"report {path}: is a directory")
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"report {path}: can't be written: {error.strerror}") from None


def report(names: Sequence[str], store: StoreLocation = None) -> "Report | Sides":
    """The report on one sweep, or on two side by side. Raises UsageError for another number of them."""
    from sweeper.analysis.report import side_by_side

    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise UsageError(f"report {' '.join(names)}: give one sweep's name, or two different ones")
    reports = [load(name, store).report() for name in names]
    return side_by_side(*reports) if len(reports) == 2 else reports[0]


def written(found: "Report | Sides", format_: str) -> str:
    """The report as text of one of `FORMATS`."""
    from sweeper.analysis import shown

    if format_ == "html":
        return found.html()
    if format_ == "md":
        return found.markdown()
    return json.dumps(found.record(), indent=2, default=shown.jsonable, allow_nan=False) + "\n"


def write(found: "Report | Sides", path: Path, format_: str | None = None) -> list[Path]:
    """Write the report to `path`, and beside an HTML report its trials as CSV; gives the files written.

    Raises UsageError where that can't be done.
    """
    chosen = format_ or format_of(path)
    files = {path: written(found, chosen)}
    if chosen == "html":
        files |= {path.with_name(f"{path.stem}{name}"): text for name, text in _tables(found).items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"report {path}: can't be written: {error.strerror}") from None
    return list(files)


def _tables(found: "Report | Sides") -> dict[str, str]:
    """The trials as CSV, by the end of the file's name."""
    from sweeper.analysis import tables
    from sweeper.analysis.report import Report

    if isinstance(found, Report):
        return {".trials.csv": tables.csv_text(found.results.trials)}
    return {
        f".{one.results.name}.trials.csv": tables.csv_text(one.results.trials)
        for one in (found.left, found.right)
    }
