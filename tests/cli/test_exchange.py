"""`sweeper export` and `sweeper import`, and what the other commands make of imported results."""

import json
from collections.abc import Callable
from pathlib import Path

import imported_sweeps
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from typer.testing import CliRunner, Result

from sweeper import api
from sweeper.api import Sweep
from sweeper.cli import app
from sweeper.store import Store

MakeSweep = Callable[..., Sweep]
Call = Callable[..., Result]

OLD_RUNS = """optimizer;number;val_accuracy;params.lr;colour
adam;1;0.61;0.001;red
adam;2;0.63;0.003;
sgd;1;0.55;0.1;
sgd;2;;0.2;
lion;7;0.64;0.0001;blue
"""


@pytest.fixture
def sweeper(store: Store) -> Call:
    def call(*words: object) -> Result:
        return CliRunner().invoke(app, [*map(str, words), "--store", store.url])

    return call


@pytest.fixture
def old_runs(tmp_path: Path) -> Path:
    path = tmp_path / "old-runs.csv"
    path.write_text(OLD_RUNS)
    return path


@pytest.fixture
def imported(sweeper: Call, old_runs: Path) -> Result:
    """The sweep `old` of five old runs."""
    return sweeper("import", "old", "--trials", old_runs)


# --- export -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_both_frames_are_written_and_named(
    make_sweep: MakeSweep, sweeper: Call, tmp_path: Path, format_: str
) -> None:
    sweep = make_sweep()
    done = sweeper("export", "s", "--out", tmp_path / "f", "--format", format_)
    paths = [tmp_path / "f" / f"{name}.{format_}" for name in ("trials", "epochs")]
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.split() == [str(path) for path in paths]
    read = pd.read_csv if format_ == "csv" else pd.read_parquet
    assert [len(read(path)) for path in paths] == [len(sweep.trials), len(sweep.epochs)]


def test_what_was_exported_is_imported_the_same(make_sweep: MakeSweep, sweeper: Call, tmp_path: Path) -> None:
    sweep = make_sweep()
    for format_ in ("csv", "parquet"):
        sweeper("export", "s", "--out", tmp_path, "--format", format_)
        files = [tmp_path / f"{name}.{format_}" for name in ("trials", "epochs")]
        done = sweeper("import", format_, "--trials", files[0], "--epochs", files[1])
        assert (done.exit_code, done.stderr) == (0, "")
        again = api.load(format_, sweep.store)
        for name in ("trials", "epochs"):
            frames = [getattr(one, name).drop(columns="sweep") for one in (sweep, again)]
            pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_optuna_reads_the_studies_that_were_written(
    make_sweep: MakeSweep, sweeper: Call, tmp_path: Path
) -> None:
    make_sweep()
    done = sweeper("export", "s", "--out", tmp_path, "--format", "optuna")
    journal = tmp_path / "optuna.journal"
    assert done.stdout.split() == [str(journal), "s/sgd", "s/adam", "s/sgd/final", "s/adam/final"]
    storage = JournalStorage(JournalFileBackend(str(journal)))
    assert [trial.value for trial in optuna.load_study(study_name="s/adam", storage=storage).trials] == [
        2.1,
        1.2,
        1.5,
    ]
    again = sweeper("export", "s", "--out", tmp_path, "--format", "optuna")
    assert (again.exit_code, len(again.stderr.splitlines())) == (2, 1)
    assert "exists already" in again.stderr


def test_studies_go_to_a_database(make_sweep: MakeSweep, sweeper: Call, tmp_path: Path) -> None:
    make_sweep()
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    done = sweeper("export", "s", "--format", "optuna", "--storage", url)
    assert done.stdout.split() == ["s/sgd", "s/adam", "s/sgd/final", "s/adam/final"]
    assert len(optuna.load_study(study_name="s/adam/final", storage=url).trials) == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "xml", "--out", "x"), "must be one of csv, parquet, optuna"),
        (("--format", "csv"), "--out DIR is missing"),
        (("--out", "x", "--storage", "postgresql://u:SECRET@h/d"), "only --format optuna"),
        (("--format", "optuna", "--storage", "mysql+none://u:SECRET@h/d"), "can't be opened"),
    ],
)
def test_what_cannot_be_exported_is_a_line_without_a_password(
    make_sweep: MakeSweep, sweeper: Call, words: tuple[str, ...], said: str
) -> None:
    make_sweep()
    done = sweeper("export", "s", *words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr
    assert "SECRET" not in done.stderr


# --- import -----------------------------------------------------------------------------------------------


def test_what_was_imported_and_ignored_is_said(imported: Result) -> None:
    assert imported.exit_code == 0
    assert imported.stdout == "old: 5 trials of 3 optimizers; `sweeper report old` compares them\n"
    assert "column colour is ignored" in imported.stderr
    assert "1 row without a finite val_accuracy: taken as diverged" in imported.stderr


def test_mistakes_leave_nothing_behind(sweeper: Call, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("optimizer,number,val_loss\nadam,x,1\nadam,1,y\n")
    done = sweeper("import", "old", "--trials", tmp_path / "t.csv")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 2)
    assert sweeper("list", "--json").stdout == "[]\n"


def test_a_name_is_imported_once(imported: Result, sweeper: Call, old_runs: Path) -> None:
    again = sweeper("import", "old", "--trials", old_runs)
    assert (again.exit_code, len(again.stderr.splitlines())) == (2, 1)
    assert "`sweeper delete old` first" in again.stderr


def test_only_one_kind_of_proposals_can_be_named(sweeper: Call, old_runs: Path) -> None:
    done = sweeper("import", "old", "--trials", old_runs, "--proposals", "guided")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "must be independent" in done.stderr


def test_independent_proposals_are_believed(sweeper: Call, old_runs: Path, store: Store) -> None:
    assert sweeper("import", "old", "--trials", old_runs, "--proposals", "independent").exit_code == 0
    assert api.load("old", store).trials["independent"].all()


@pytest.mark.parametrize(
    "words",
    [
        ("resume", "old"),
        ("resume", "old", "--set", "budget.trials_per_optimizer=9"),
        ("repeat", "old", "adam", "1"),
        ("best", "old"),
        ("best", "old", "--format", "python"),
        ("run", "experiments/quickstart.toml", "--name", "old"),
        ("run", "experiments/quickstart.toml", "--name", "new", "--warm-start", "old"),
    ],
)
def test_what_makes_no_sense_of_imported_results_is_refused_in_a_line(
    imported: Result, sweeper: Call, words: tuple[str, ...]
) -> None:
    done = sweeper(*words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "imported" in done.stderr


@pytest.mark.parametrize(
    "words", [("status", "old"), ("list",), ("show", "old", "adam", "2"), ("show", "old", "sgd", "2")]
)
def test_what_nobody_knows_is_not_shown(imported: Result, sweeper: Call, words: tuple[str, ...]) -> None:
    done = sweeper(*words)
    assert done.exit_code == 0
    for wrong in ("nan", "None", "NaT", " 0 images", "imported on", "0 epochs", "seed -1", "0%"):
        assert wrong not in done.stdout, done.stdout


def test_imported_results_are_told_as_json_and_deleted(imported: Result, sweeper: Call) -> None:
    status = json.loads(sweeper("status", "old", "--json").stdout)
    assert [row["best"] for row in status["summary"]] == [0.63, 0.55, 0.64]
    assert [row["dead"] for row in status["summary"]] == [None, None, None]
    best = json.loads(sweeper("best", "old", "--format", "json").stdout)
    assert (best["optimizer"], best["number"], best["params"]) == ("lion", 7, {"lr": 0.0001})
    assert sweeper("delete", "old", "--yes").stdout.startswith("deleted sweep old (complete): 5 trials")


def test_imported_finals_have_a_verdict(sweeper: Call, store: Store) -> None:
    trials, epochs = imported_sweeps.tables(18, 2, n_finals=8)
    api.import_trials("old", trials, epochs, store=store)
    status = sweeper("status", "old")
    assert status.exit_code == 0
    assert "Judged by test loss over the imported finals" in " ".join(status.stdout.split())
    assert "nan" not in status.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [(("new", "--trials", "absent.csv"), "no such file"), (("a b", "--trials", "absent.csv"), "--name")],
)
def test_what_cannot_be_imported_is_a_line(sweeper: Call, words: tuple[str, ...], said: str) -> None:
    done = sweeper("import", *words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr


def test_two_sweeps_stand_side_by_side_with_their_difference_first(
    imported: Result, sweeper: Call, store: Store
) -> None:
    new = api.load("old", store).trials.replace({"optimizer": {"sgd": "rmsprop"}})
    api.import_trials("new", new, store=store)
    shown = sweeper("report", "old", "new", "--format", "md").stdout
    assert shown.index("## What differs") < shown.index("## Per optimizer")
    assert "Not judged" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    names = [row.split(" | ")[0] for row in rows if "optimizer" not in row and ":--" not in row]
    assert names[:4] == ["| adam", "| sgd", "| lion", "| rmsprop"]


def test_times_that_nobody_told_are_left_out_with_the_reason(store: Store) -> None:
    trials, epochs = imported_sweeps.tables(36, 4)
    sweep = api.import_trials(
        "old", trials, epochs.drop(columns=["samples", "train_s", "eval_s"]), store=store.url
    )
    page = sweep.report().markdown()
    assert "median epochs" in page
    assert "median samples" not in page
    assert "Samples are left out" in page
    assert "Seconds are left out" in page
