"""The lecture's commands: what they print, write and exit with."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from sweeper import optimizers
from sweeper.cli import app
from sweeper.lab import gradcheck
from sweeper.training import losses

# lecture.md's table: first moments, second moments, leaky second moments, bias correction.
TABLE = {
    "sgd": (False, False, False, False),
    "momentum": (True, False, False, False),
    "nesterov": (True, False, False, False),
    "adagrad": (False, True, False, False),
    "rmsprop": (False, True, True, False),
    "adam": (True, True, True, True),
}


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


# --- sweeper optimizers -----------------------------------------------------------------------------------


def test_the_optimizers_json_agrees_with_the_lectures_table() -> None:
    rows = {row["name"]: row for row in json.loads(invoke("optimizers", "--json").stdout)}
    keys = ("first_moments", "second_moments", "leaky_second_moments", "bias_correction")
    assert {name: tuple(rows[name][key] for key in keys) for name in TABLE} == TABLE


def test_the_optimizers_json_lists_every_arm_with_its_class_space_and_untuned_setting() -> None:
    rows = {row["name"]: row for row in json.loads(invoke("optimizers", "--json").stdout)}
    assert list(rows) == optimizers.names()
    assert {"gd", "adamw", "nadam", "lbfgs", "newton", "bfgs", "random_search", "local_search"} < rows.keys()
    assert rows["adam"]["torch_class"] == "torch.optim.Adam"
    assert rows["adam"]["space"]["lr"] == {"low": 1e-5, "high": 1e-1, "scale": "log"}
    assert rows["adam"]["default"] == {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999}


def test_the_optimizers_table_has_a_row_for_every_arm() -> None:
    result = invoke("optimizers")
    assert result.exit_code == 0
    properties, spaces = result.stdout.split("Search spaces")
    for name in optimizers.names():
        assert f"\n {name} " in properties
        assert f"\n {name} " in spaces
    assert '[optimizers.NAME] class = "torch.optim.X"' in spaces


# --- sweeper gradcheck ------------------------------------------------------------------------------------


def test_a_right_gradient_passes_and_its_errors_and_times_are_told() -> None:
    result = invoke("gradcheck", "--model", "linear", "--loss", "cross_entropy")
    assert result.exit_code == 0
    assert "every gradient is right" in result.stdout
    assert "linear" in result.stdout
    assert "hinge" not in result.stdout.split("Kinks")[0]


def test_the_json_of_a_check_has_every_tensor() -> None:
    (row,) = json.loads(invoke("gradcheck", "--model", "linear", "--loss", "hinge", "--json").stdout)
    assert row["passed"]
    assert row["centred_error"] < 1e-6
    assert [tensor["coordinates"] for tensor in row["tensors"]] == [100, 10]
    assert row["whole_numerical_s"] > row["analytic_s"]


class _Tilted(torch.autograd.Function):
    """The identity, whose backward pass is wrong by one per cent."""

    @staticmethod
    def forward(ctx: object, scores: torch.Tensor) -> torch.Tensor:
        return scores.clone()

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return 1.01 * gradient


def test_a_wrong_gradient_is_named_and_the_exit_status_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def tilted(scores: torch.Tensor, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        return losses.cross_entropy(_Tilted.apply(scores), labels, reduction)  # type: ignore[no-untyped-call]

    monkeypatch.setitem(gradcheck.LOSSES, "cross_entropy", tilted)  # type: ignore[arg-type]
    result = invoke("gradcheck", "--model", "linear", "--loss", "cross_entropy")
    assert result.exit_code == 1
    assert "1 of 1 gradients are wrong" in result.stdout
    assert "linear, cross_entropy: 1.weight: centred error 1e-02" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "vgg"), "linear, mlp, lenet, cnn, 3c3d, resnet8"),
        (("--loss", "mse"), "cross_entropy, hinge"),
    ],
)
def test_an_unknown_model_or_loss_is_a_line_with_the_legal_ones(words: tuple[str, ...], said: str) -> None:
    result = invoke("gradcheck", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


# --- sweeper landscape ------------------------------------------------------------------------------------


def test_the_landscape_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    result = invoke("landscape", "--out", str(tmp_path / "page.html"))
    assert result.exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_landscape_that_can_not_be_written_is_a_line(tmp_path: Path) -> None:
    result = invoke("landscape", "--out", str(tmp_path / "missing" / "page.html"))
    assert result.exit_code == 2
    assert result.stderr.startswith("sweeper: --out ")
    assert "can't be written" in result.stderr
