"""`sweeper export` and `sweeper import`: files out and in, and what an imported sweep can't do."""

from pathlib import Path

import optuna
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sweeper.cli import app

SHEET = "optimizer,number,val_accuracy,lr\nlion,0,0.5,0.1\nlion,1,0.6,0.2\nsgd,0,0.4,\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a spreadsheet, and a store that holds it as the sweep `old`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_STORE", f"sqlite:///{tmp_path / 's.db'}")
    (tmp_path / "old.csv").write_text(SHEET)
    done = run("import", "old", "--trials", "old.csv")
    assert (done.exit_code, done.stdout.split(":")[0]) == (0, "old")
    assert "column lr is ignored; as a hyperparameter it is called params.lr" in done.stderr
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_tables_go_out_and_in_again(place: Path, format_: str) -> None:
    assert run("export", "old", "--out", "f", "--format", format_).stdout.split() == [
        f"f/trials.{format_}",
        f"f/epochs.{format_}",
    ]
    assert run("import", "again", "--trials", f"f/trials.{format_}").exit_code == 0
    assert "lion" in run("status", "again").stdout


def test_studies_go_to_a_journal_and_are_not_doubled(place: Path) -> None:
    done = run("export", "old", "--out", "o", "--format", "optuna")
    assert done.stdout.split() == ["o/optuna.journal", "old/lion", "old/sgd"]
    again = run("export", "old", "--out", "o", "--format", "optuna")
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    assert run("export", "old", "--format", "optuna", "--storage", "sqlite:///o.db").exit_code == 0
    study = optuna.load_study(study_name="old/lion", storage="sqlite:///o.db")
    assert study.best_value == 0.6


def test_an_imported_sweep_is_shown_as_what_it_is(place: Path) -> None:
    shown = run("status", "old").stdout
    assert "Imported from old.csv" in shown
    assert "No verdict" in shown
    assert "nan" not in shown
    assert " 0 images" not in shown
    assert "lion/1: complete (imported)" in run("show", "old", "lion", "1").stdout
    assert '"score": 0.6' in run("best", "old", "--format", "json").stdout
    assert "they were imported from old.csv" in run("report", "old", "--format", "md").stdout
    assert "old" in run("list").stdout
    assert run("delete", "old", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("repeat", "old", "lion", "0"), "was imported"),
        (("best", "old"), "--format json"),
        (("resume", "old", "--set", "final.seeds=20"), "nothing to go on with"),
        (("import", "old", "--trials", "old.csv"), "old"),
        (("import", "new", "--trials", "absent.csv"), "no such file"),
        (("import", "new", "--trials", "old.csv", "--proposals", "tpe"), "must be independent"),
        (("import", "a b", "--trials", "old.csv"), "--name"),
        (("export", "old", "--out", "f", "--format", "xml"), "csv, parquet, optuna"),
        (("export", "old", "--out", "f", "--storage", "sqlite:///x"), "only --format optuna"),
        (("export", "old"), "--out DIR is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    place: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_two_sweeps_stand_side_by_side_with_their_difference_first(place: Path) -> None:
    text = run("export", "old", "--out", "f")
    frame = pd.read_csv("f/trials.csv").assign(optimizer=["lion", "lion", "adam"])
    frame.to_csv("new.csv", index=False)
    assert (text.exit_code, run("import", "new", "--trials", "new.csv").exit_code) == (0, 0)
    shown = run("report", "old", "new", "--format", "md").stdout
    assert shown.index("## What differs") < shown.index("## Per optimizer")
    assert "Not judged" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows if "optimizer" not in row and ":--" not in row][:3] == [
        "| lion",
        "| sgd",
        "| adam",
    ]
