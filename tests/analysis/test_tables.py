"""Frames as files: what is written is what is read."""

from pathlib import Path

import pandas as pd
import pytest

from sweeper.analysis import tables
from sweeper.errors import UsageError

FRAME = pd.DataFrame(
    {
        "optimizer": pd.Series(["sgd", None], dtype="str"),
        "seed": [2**62 + 1, 1],
        "val_loss": [0.1 + 0.2, float("nan")],
        "started_at": pd.to_datetime(["2026-03-01 12:00:00.000001", None], utc=True).astype(
            "datetime64[us, UTC]"
        ),
    }
)


def test_parquet_keeps_every_value_and_dtype(tmp_path: Path) -> None:
    [path] = tables.write({"trials": FRAME}, tmp_path, "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), FRAME)


def test_csv_keeps_every_digit_and_writes_times_with_their_offset(tmp_path: Path) -> None:
    [path] = tables.write({"trials": FRAME}, tmp_path / "new", "csv")
    assert path.read_text().splitlines() == [
        "optimizer,seed,val_loss,started_at",
        "sgd,4611686018427387905,0.30000000000000004,2026-03-01T12:00:00.000001+00:00",
        ",1,,",
    ]


def test_a_directory_that_cannot_be_made_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        tables.write({"trials": FRAME}, tmp_path / "file", "csv")
