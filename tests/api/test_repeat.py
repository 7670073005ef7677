"""A stored trial trained again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from typer.testing import CliRunner

from sweeper import api
from sweeper.api.repeat import repeat
from sweeper.cli import app
from sweeper.errors import NotFoundError, SweeperError, UsageError
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord
from sweeper.store import Store
from sweeper.store.schema import epochs
from sweeper.training import saving
from sweeper.training.loop import Training

MakeExperiment = Callable[..., Experiment]


@pytest.fixture
def swept(store: Store, make_experiment: MakeExperiment) -> Store:
    settings = ("search.pruner=asha", "budget.epochs=4", "final.top_k=1", "final.seeds=1")
    api.run(make_experiment(*settings), store, workers="inline")
    return store


def test_a_trial_comes_out_as_it_is_stored(swept: Store) -> None:
    reported: list[EpochRecord] = []
    again = repeat("tiny", "adam", 1, swept, reported=reported.append)
    assert again.is_same
    assert again.largest == 0
    assert [record.epoch for record in reported] == list(range(1, len(again.records) + 1))


def test_a_pruned_trial_is_trained_as_far_as_it_was(swept: Store) -> None:
    trials = api.load("tiny", swept).trials
    row = trials[trials["state"] == "pruned"].iloc[0]
    again = repeat("tiny", row["optimizer"], row["number"], swept)
    assert again.is_same
    assert again.records[-1].epoch == row["epochs"] < 4


def test_a_number_that_differs_is_told(swept: Store) -> None:
    with swept.engine.begin() as connection:
        wrong = sa.update(epochs).where(epochs.c.epoch == 1).values(val_loss=epochs.c.val_loss + 0.25)
        connection.execute(wrong)
    again = repeat("tiny", "adam", 0, swept)
    assert again.is_same is False
    assert again.largest == pytest.approx(0.25)


def test_the_saved_network_scores_as_the_trained_one_did(swept: Store, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    again = repeat("tiny", "adam", 0, swept, save=path)
    network, contents = saving.load(path)
    from sweeper.training import data

    images = data.load(api.load("tiny", swept).experiment)
    mean, std = (torch.tensor(contents[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        scores = network((torch.tensor(images.val.images).float() - mean) / std)
    hits = (scores.argmax(1) == torch.tensor(images.val.labels)).float().mean()
    assert float(hits) == pytest.approx(again.records[-1].val_accuracy)
    assert contents["about"] == {
        "sweep": "tiny",
        "trial": "adam/0",
        "params": dict(again.stored.trial.params),
    }
    assert [p.name for p in tmp_path.glob("model*")] == ["model.pt"]


def test_what_does_not_exist_is_named(swept: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no trial adam/99; its optimizers: sgd"):
        repeat("tiny", "adam", 99, swept)
    with pytest.raises(NotFoundError, match="no sweep is called"):
        repeat("nobody", "adam", 0, swept)
    with pytest.raises(UsageError, match="is no directory"):
        repeat("tiny", "adam", 0, swept, save=tmp_path / "nowhere" / "model.pt")


def test_a_file_that_cannot_be_written_is_named(
    swept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"model\.pt: can't be written: Permission denied"):
        repeat("tiny", "adam", 0, swept, save=tmp_path / "model.pt")


def test_a_trial_that_fails_again_says_why(swept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Training) -> None:
        raise RuntimeError("no luck\nat all")

    monkeypatch.setattr(Training, "next_epoch", fail)
    with pytest.raises(SweeperError, match=r"adam/0 failed after epoch 0: RuntimeError: no luck$"):
        repeat("tiny", "adam", 0, swept)


def test_the_command_says_whether_it_is_the_same(swept: Store) -> None:
    result = CliRunner().invoke(app, ["repeat", "tiny", "adam", "0", "--final", "--store", swept.url])
    assert result.exit_code == 0
    assert "adam/final/0 complete after 4 epochs, test loss" in result.stdout
    assert result.stdout.strip().endswith("the same as stored, bit for bit")
    assert "epoch 4: train_loss" in result.stderr
