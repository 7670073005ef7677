"""Tidy frames as files: CSV that any spreadsheet reads, and Parquet that keeps every dtype."""

import csv
from pathlib import Path

import pandas as pd

from sweeper.analysis import shown
from sweeper.errors import UsageError

FORMATS = ("csv", "parquet")


def write(frames: dict[str, pd.DataFrame], out: Path, format_: str) -> list[Path]:
    """Write each frame to OUT/NAME.FORMAT, and give the files written. Raises UsageError where that fails."""
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            path = out / f"{name}.{format_}"
            if format_ == "parquet":
                frame.to_parquet(path, index=False)
            else:
                path.write_text(csv_text(frame), encoding="utf-8", newline="")
            paths.append(path)
    except OSError as error:
        raise UsageError(f"--out {out}: can't be written: {error.strerror}") from None
    return paths


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV: times in ISO 8601 with microseconds and offset, nothing where there is no number."""
    times = frame.select_dtypes("datetimetz").columns
    plain = frame.assign(**{name: frame[name].map(shown.iso, na_action="ignore") for name in times})
    text = plain.to_csv(index=False)
    # An unquoted carriage return, which ends a row where the file is read, is left as it is by pandas.
    return plain.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text
