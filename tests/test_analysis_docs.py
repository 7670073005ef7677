"""The ten questions of docs/analysis.md: their lines are run on a small sweep, and answer what they say."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sweeper
from sweeper import experiment as experiments
from sweeper.analysis import Improvement
from sweeper.store import Store

PAGE = (Path(__file__).parent.parent / "docs" / "analysis.md").read_text()
OPENING, *_ = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
QUESTIONS = {
    int(number): code
    for number, code in re.findall(
        r"^## (\d+)\. .*?```python\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE
    )
}
ARMS = ["adam", "momentum", "sgd"]
SWEEP = """
[experiment]
name = "cifar10-lenet"
[data]
name = "synthetic"
train_size = 200
val_size = 100
test_size = 100
[model]
name = "linear"
[budget]
trials_per_optimizer = 5
epochs = 2
[search]
sampler = "random"
[final]
seeds = 2
[space]
batch_size = [50, 100]
[optimizers.sgd]
[optimizers.momentum]
[optimizers.adam]
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's lines have answered, by the question's number, and the names that they have set."""
    url = f"sqlite:///{tmp_path_factory.mktemp('docs') / 'store.db'}"
    store = Store.open(url, create=True)
    sweeper.run(experiments.loads(SWEEP), store, workers="inline")
    store.close()
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_STORE", url)
        exec(OPENING, names)
        return {"names": names, **{str(n): answer(code, names) for n, code in QUESTIONS.items()}}


def answer(code: str, names: dict[str, Any]) -> Any:
    """The value of the last line, once the others have run."""
    *first, last = ast.parse(code).body
    assert isinstance(last, ast.Expr), "a question's last line shows its answer"
    exec(compile(ast.Module(first, []), "docs/analysis.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "docs/analysis.md", "eval"), names)


def test_there_are_ten_questions_of_at_most_three_lines() -> None:
    assert list(QUESTIONS) == list(range(1, 11))
    assert max(len(code.splitlines()) for code in QUESTIONS.values()) <= 3


def test_the_best_median_comes_first(asked: dict[str, Any]) -> None:
    frame = asked["1"]
    assert sorted(frame.index) == ARMS
    assert frame["median"].is_monotonic_increasing
    assert (frame["scored"] == 4).all()


def test_diverged_trials_are_counted_by_optimizer_and_decade(asked: dict[str, Any]) -> None:
    frame, search = asked["2"], asked["names"]["search"]
    assert list(frame.columns) == ["diverged", "trials"]
    assert frame.index.names == ["optimizer", "decade"]
    assert frame["trials"].sum() == len(search) == 12
    assert frame["diverged"].sum() == (search["state"] == "diverged").sum()


def test_the_best_trials_curve_ends_at_its_score(asked: dict[str, Any]) -> None:
    frame, summary = asked["3"], asked["names"]["summary"]
    assert list(frame.index) == [1, 2]
    assert list(frame.columns) == ["train_loss", "val_loss", "val_accuracy"]
    assert frame["val_loss"].iloc[-1] == summary["best"].min()


def test_times_are_per_optimizer_and_device(asked: dict[str, Any]) -> None:
    frame = asked["4"]
    assert list(frame.index.get_level_values("optimizer")) == ARMS
    assert (frame["train_s"] > 0).all()
    assert (frame["wall_s"] >= frame["train_s"]).all()


def test_tuned_and_untuned_stand_side_by_side(asked: dict[str, Any]) -> None:
    frame = asked["5"]
    assert list(frame.index) == ARMS
    assert (frame["size"] == 2).all(axis=None)
    assert list(frame["mean"].columns) == ["tuned", "untuned"]
    assert frame.notna().all(axis=None)


def test_the_probability_of_improvement_is_a_record(asked: dict[str, Any]) -> None:
    found = asked["6"]
    assert isinstance(found, Improvement)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_the_expected_best_falls_from_the_mean_to_the_best(asked: dict[str, Any]) -> None:
    frame, scores = asked["7"], asked["names"]["drawn"].scores["adam"]
    assert list(frame.columns) == ["k", "mean", "low", "high"]
    assert list(frame["k"]) == [1, 2, 3, 4]
    assert frame["mean"].iloc[0] == pytest.approx(np.mean(scores))
    assert frame["mean"].iloc[-1] == pytest.approx(np.min(scores))


def test_the_time_to_a_target_counts_its_hits(asked: dict[str, Any]) -> None:
    frame = asked["8"]
    assert sorted(frame["optimizer"]) == ARMS
    assert (frame["n"] == 2).all()
    assert (np.isfinite(frame["median"]) == (frame["hits"] > 1)).all()


def test_batch_sizes_are_rows(asked: dict[str, Any]) -> None:
    frame = asked["9"]
    assert list(frame.index) == [50, 100]
    assert list(frame["size"].columns) == ARMS
    assert frame["size"].sum().sum() == 12


def test_the_idle_share_is_a_share_per_worker(asked: dict[str, Any]) -> None:
    shares = asked["10"]
    assert isinstance(shares, pd.Series)
    assert shares.between(0, 1).all()
    assert len(shares) == asked["names"]["attempts"]["worker"].nunique()
