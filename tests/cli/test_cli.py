"""The commands as a user calls them, in processes of their own where exit status and streams matter."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sweeper.cli import app
from sweeper.records import EpochRecord
from sweeper.training import loop

QUICK = """
[experiment]
name = "quick"
[data]
name = "synthetic"
train_size = 200
val_size = 100
test_size = 100
[model]
name = "linear"
[budget]
trials_per_optimizer = 2
epochs = 2
[final]
seeds = 2
[optimizers.sgd]
[optimizers.adam]
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sweeper(tmp_path: Path) -> Run:
    """Calls `sweeper` in an empty directory, with a store of its own there."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SWEEPER_")}
    environment["NO_COLOR"] = "1"

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweeper", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=100,
        )

    (tmp_path / "quick.toml").write_text(QUICK)
    return run


def fails(done: subprocess.CompletedProcess[str], status: int) -> str:
    """A known error: its exit status, lines on stderr, nothing on stdout, no traceback."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


COMMANDS = ("run", "resume", "list", "status", "show", "best", "repeat", "export", "data info", "data fetch")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, sweeper: Run) -> None:
    done = sweeper(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Example: sweeper {command}" in done.stdout


def test_help_costs_less_than_half_a_second_of_processor_time(sweeper: Run) -> None:
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    costs = []
    for _ in range(3):
        before = spent()
        assert sweeper("--help").returncode == 0
        costs.append(spent() - before)
    assert min(costs) < 0.5


def test_a_sweep_is_run_listed_shown_and_exported(sweeper: Run, tmp_path: Path) -> None:
    done = sweeper("run", "quick.toml", "--workers", "inline")
    assert done.returncode == 0, done.stderr
    assert "sgd/0 complete: val_loss" in done.stderr
    assert "4 of 4 trials" in done.stderr
    assert "8 of 8 finals" in done.stderr
    assert "synthetic: 200 training, 100 validation, 100 test images" in done.stderr
    for expected in ("sgd", "adam", "best setting", "these seeds cannot decide", "Synthetic images"):
        assert expected in done.stdout

    assert "quick" in sweeper("list").stdout
    assert "complete" in sweeper("status", "quick").stdout
    shown = sweeper("show", "quick", "adam", "1").stdout
    assert "adam/1: complete (proposed)" in shown
    exported = sweeper("export", "quick", "--out", "frames")
    assert exported.stdout.split() == ["frames/trials.csv", "frames/epochs.csv"]
    frame = pd.read_csv(tmp_path / "frames" / "trials.csv")
    assert frame["phase"].value_counts().to_dict() == {"search": 4, "final": 8}
    assert frame["started_at"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:?00").all()
    assert len(pd.read_csv(tmp_path / "frames" / "epochs.csv")) == 24


def test_json_is_all_that_stands_on_stdout(sweeper: Run) -> None:
    done = sweeper("run", "quick.toml", "--workers", "inline", "--json", "--name", "j")
    answer = json.loads(done.stdout)
    assert (answer["name"], answer["state"]) == ("j", "complete")
    assert answer["trials"]["complete"] + answer["trials"]["diverged"] == 4 + 8
    row = {row["optimizer"]: row for row in answer["summary"]}["adam"]
    keys = (
        "complete pruned diverged failed best median iqr untuned final_mean final_sd final_low final_high "
        "final_n final_diverged dead"
    )
    assert set(keys.split()) <= row.keys()
    assert row["final_n"] == 2
    assert row["params"].keys() >= {"lr", "beta1", "beta2", "batch_size"}

    assert json.loads(sweeper("status", "j", "--json").stdout) == answer
    (listed,) = json.loads(sweeper("list", "--json").stdout)
    assert {"name", "state", "created_at", "trials"} <= listed.keys()
    trial = json.loads(sweeper("show", "j", "adam", "1", "--json").stdout)
    assert [record["epoch"] for record in trial["epoch_records"]] == [1, 2]


def test_all_mistakes_in_a_file_are_told_at_once(sweeper: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        "[experiment]\nseed = 'one'\n[budget]\nepochs = 0\n"
        "[optimizers.adm]\n[optimizers.sgd]\nlr = { low = 1.0, high = 0.1 }\n"
    )
    lines = fails(sweeper("run", "wrong.toml"), 2).splitlines()
    assert len(lines) == 5
    for line, key in zip(
        lines,
        ("experiment.name", "experiment.seed", "budget.epochs", "optimizers.adm", "optimizers.sgd.lr"),
        strict=True,
    ):
        assert line.startswith("sweeper: wrong.toml: ")
        assert key in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[experiment\nname = 1", "not valid TOML"),
        ("[optimizers.adam]\n", "experiment.name: missing"),
        ('[experiment]\nname = "x"\n[budget]\nepochs = "ten"\n', 'budget.epochs = "ten": must be a whole'),
        ('[experiment]\nname = "x"\n[checkpoint]\nevery_epochs = 1\n', "checkpoints need a directory"),
    ],
)
def test_a_wrong_file_is_a_line_and_status_2(
    content: str, message: str, sweeper: Run, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text(content)
    assert message in fails(sweeper("run", "wrong.toml"), 2)
    assert not (tmp_path / "sweeper.db").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "absent.toml"], 2, "absent.toml: no such file"),
        (["run", "."], 2, "is a directory"),
        (["run", "quick.toml", "--set", "budget.epoch=3"], 2, "did you mean epochs?"),
        (["run", "quick.toml", "--workers", "none"], 2, "--workers none: must be a whole number"),
        (["run", "quick.toml", "--name", "a b"], 2, "--name"),
        (["run", "quick.toml", "--set", "data.name=cifar10", "--data-dir", "."], 2, "holds neither"),
        (["run", "quick.toml", "--store", "sqlite:////no/such/dir/x.db"], 4, "unable to open database"),
        (["run", "quick.toml", "--store", "nonsense"], 4, "not a database URL"),
        (["run", "quick.toml", "--store", "sqlite+aiosqlite:///x.db"], 4, "legal: sqlite:///PATH"),
        (["list", "--store", "sqlite://host/x.db"], 4, "legal: sqlite:///PATH"),
        (["list", "--store", "sqlite:///" + "x" * 300], 4, "File name too long"),
        (["run", "quick.toml", "--address", "127.0.0.1:1"], 4, "127.0.0.1:1 can't be reached"),
        (["run", "quick.toml", "--set", "resources.lease_s=1e11"], 2, "from 1 to 86,400"),
        (["run", "quick.toml", "--set", "experiment.seed=" + "9" * 5000], 2, "experiment.seed"),
        (["run", "quick.toml", "--set", "experiment.seed=0x" + "f" * 5000], 2, "experiment.seed"),
        (["run", "quick.toml", "--set", "space.batch_size=" + "[" * 3000], 2, "space.batch_size"),
        (["data", "info", "--data-dir", "x" * 300], 2, "File name too long"),
        (["resume", "nobody"], 3, "no sweep is called 'nobody'"),
        (["status", "nobody"], 3, "no sweep is called 'nobody'"),
        (["show", "nobody", "adam", "0"], 3, "no sweep is called 'nobody'"),
        (["export", "nobody", "--out", "o"], 3, "no sweep is called 'nobody'"),
        (["data", "fetch", "mnist"], 2, "must be one of cifar10, cifar100"),
        (["data", "info", "--data-dir", "."], 2, "neither cifar-10-batches-bin"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_known_error_is_a_line_and_a_status(
    arguments: list[str], status: int, message: str, sweeper: Run
) -> None:
    assert message in fails(sweeper(*arguments), status)


def test_a_store_that_does_not_exist_is_empty_and_is_not_made(sweeper: Run, tmp_path: Path) -> None:
    done = sweeper("list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "no sweeps in sqlite:///sweeper.db" in sweeper("list").stderr
    assert not (tmp_path / "sweeper.db").exists()


def test_a_name_that_exists_is_refused_and_a_trial_that_does_not_is_not_found(sweeper: Run) -> None:
    assert sweeper("run", "quick.toml", "--workers", "inline").returncode == 0
    message = fails(sweeper("run", "quick.toml", "--workers", "inline"), 2)
    assert "sweeper resume quick" in message
    assert "--name" in message
    assert "no trial adam/9" in fails(sweeper("show", "quick", "adam", "9"), 3)
    again = sweeper("resume", "quick")
    assert again.returncode == 0
    assert "best setting" in again.stdout


def test_a_sweep_in_which_an_optimizer_has_no_complete_trial_ends_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: loop.Training) -> EpochRecord:
        raise MemoryError("no room")

    monkeypatch.setattr(loop.Training, "next_epoch", broken)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(QUICK)
    done = CliRunner().invoke(app, ["run", "quick.toml", "--workers", "inline"])
    assert done.exit_code == 1
    assert "2 failed" in done.stdout
    assert "sgd/0 attempt 3 lost: MemoryError: no room" in done.stderr
    shown = CliRunner().invoke(app, ["show", "quick", "sgd", "0"])
    assert "error: MemoryError: no room" in shown.stdout


def test_the_output_of_a_list_may_be_cut_off(sweeper: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m sweeper --help | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
