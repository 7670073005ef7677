"""`sweeper plan` as a user calls it. What it measures is tested in `lab`."""

import json
import sys
from pathlib import Path

import pytest
from conftest import TINY
from typer.testing import CliRunner, Result

from sweeper.cli import app
from sweeper.lab.calibration import ArmPace, Calibration

FINALS = ("final.top_k=1", "final.seeds=10")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text('[experiment]\nname = "tiny"')
    return path


def plan(file: Path, *settings: str, options: tuple[str, ...] = ("--no-calibrate",)) -> Result:
    sets = [word for setting in (*TINY, *settings) for word in ("--set", setting)]
    return CliRunner().invoke(app, ["plan", str(file), *sets, *options])


def test_a_plan_says_what_is_spent_searched_and_decidable(file: Path) -> None:
    result = plan(file, *FINALS)
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["sgd", "3", "6", "20", "40", "23", "46", "9,200"] in rows
    assert ["in", "all", "18", "36", "120", "240", "138", "276", "55,200"] in rows
    assert "lr 0.0001 to 1 (log, 4 decades); batch_size* 64, 128" in result.stdout
    assert "What 10 final seeds can decide" in result.stdout
    assert "not measured" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 140


def test_too_few_seeds_are_told_with_the_fewest_that_do(file: Path) -> None:
    assert "These seeds cannot decide" in plan(file, "final.top_k=1", "final.seeds=2").stdout


def test_a_pruner_comes_with_its_rungs_and_its_warning(file: Path) -> None:
    text = plan(file, "search.pruner=asha", "budget.epochs=8").stdout
    assert "rungs after epoch 2 and 6" in text
    assert "pruning favours settings that start fast" in text
    assert "unequally between optimizers" in text


def test_a_budget_of_its_own_is_shown_with_its_cost(file: Path) -> None:
    text = plan(file, "model.input_size=8", "optimizers.newton.steps=2", "optimizers.sgd={}").stdout
    assert "newton has a budget of its own, 2 steps a trial, at least 7,723 epochs" in text


def test_a_joint_search_has_one_number_of_trials(file: Path) -> None:
    assert "18 trials in all" in plan(file, "search.mode=joint").stdout


def test_json_has_every_number(file: Path) -> None:
    result = plan(file, *FINALS, options=("--no-calibrate", "--json"))
    found = json.loads(result.stdout)
    assert found["experiment"] == "tiny"
    assert found["total"] == {"trials": 138, "epochs": 276.0, "samples": 55_200, "seconds": None}
    assert found["arms"][0]["space"][0]["decades"] == pytest.approx(4)
    assert found["decidable"]["n_seeds"] == 10
    assert found["calibration"] is None


def test_an_arm_that_cant_take_a_step_is_one_line_and_exit_status_2(file: Path) -> None:
    result = plan(file, "model.input_size=8", "optimizers.newton={}")
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "3,861.3 epochs and budget.epochs = 2" in line


def test_a_plan_with_seconds_says_on_which_device_they_were_measured(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Calibration(
        device="an abacus",
        n_workers=3,
        uses_ray=False,
        load_s=0.0,
        ready_s=0.0,
        setup_s=0.0,
        eval_image_s=0.0,
        arms={"sgd": ArmPace(((50, 0.01),))},
    )
    # The package's attribute of that name is the function.
    monkeypatch.setattr(sys.modules["sweeper.api.plan"], "measure", lambda *given, **named: measured)
    settings = ("optimizers.sgd={}", "space.batch_size=50", *FINALS)
    text = plan(file, *settings, options=("--workers", "3")).stdout
    assert "Expected time: about 35 s (search about 4 s, finals about 28 s" in text
    assert "with 3 workers on this machine (an abacus)" in text
    limited = plan(file, *settings, "budget.max_seconds=1", options=()).stdout
    assert "budget.max_seconds = 1 ends it before" in limited
