"""The test images are touched once, at the end of each final, and nowhere else."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import brightness_images
from test_coordinator import Watch, coordinate, new_sweep
from torch.nn import functional

from sweeper import api
from sweeper.analysis import frames
from sweeper.api.repeat import repeat
from sweeper.experiment import Experiment
from sweeper.records import EpochRecord, FinalScore, Phase, Trial, TrialState
from sweeper.store import Store
from sweeper.training import data, saving
from sweeper.training.data import Dataset, Split
from sweeper.training.device import DeviceData, Images
from sweeper.training.loop import Training
from sweeper.workers.inline import InlineWorkers

MakeExperiment = Callable[..., Experiment]

TIMES = ("queued_s", "setup_s", "train_s", "eval_s", "wall_s", "started_at", "finished_at")


def scrambled() -> Dataset:
    """The usual images, but for the test images: noise with random labels."""
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    return replace(brightness_images(), test=Split(pixels, generator.integers(0, 10, 100)))


def small(make_experiment: MakeExperiment) -> Experiment:
    search = ("search.sampler=tpe", "search.startup_trials=1", "search.pruner=asha")
    return make_experiment(*search, "final.top_k=1", "final.seeds=2")


def run(store: Store, experiment: Experiment, dataset: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    workers = InlineWorkers(experiment, dataset)
    coordinate(experiment, new_sweep(store, experiment), workers=workers).run()
    return frames.trials(store, "s"), frames.epochs(store, "s")


def test_no_number_but_the_finals_test_scores_depends_on_the_test_images(
    make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    experiment = small(make_experiment)
    results = []
    for name, dataset in (("usual", brightness_images()), ("scrambled", scrambled())):
        store = Store.open(f"sqlite:///{tmp_path / name}.db", create=True)
        results.append(run(store, experiment, dataset))
        store.close()
    (trials, epochs), (other_trials, other_epochs) = results
    drop = [*TIMES, "test_loss", "test_accuracy"]
    pd.testing.assert_frame_equal(trials.drop(columns=drop), other_trials.drop(columns=drop))
    seconds = ["train_s", "eval_s"]
    pd.testing.assert_frame_equal(epochs.drop(columns=seconds), other_epochs.drop(columns=seconds))
    is_final = trials["phase"] == "final"
    assert is_final.sum() == 24
    scored = trials["test_loss"].notna()
    assert (scored == (is_final & (trials["state"] == "complete"))).all()
    assert (trials.loc[scored, "test_loss"] != other_trials.loc[scored, "test_loss"]).all()


def test_the_test_images_are_looked_at_once_for_each_complete_final(
    store: Store, make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Phase] = []
    looks: list[Phase] = []
    begin, test = Training.__init__, DeviceData.test

    def note_beginning(self: Training, trial: Trial, experiment: Experiment, images: DeviceData) -> None:
        begun.append(trial.key.phase)
        begin(self, trial, experiment, images)

    def note_look(self: DeviceData) -> Images:
        looks.append(begun[-1])
        return test(self)

    monkeypatch.setattr(Training, "__init__", note_beginning)
    monkeypatch.setattr(DeviceData, "test", note_look)
    trials, _ = run(store, small(make_experiment), brightness_images())
    n_complete = ((trials["phase"] == "final") & (trials["state"] == "complete")).sum()
    assert n_complete
    assert Counter(looks) == {Phase.FINAL: n_complete}


def test_a_network_of_the_search_refuses_to_be_scored_on_the_test_images(
    make_experiment: MakeExperiment, make_trial: Callable[..., Trial]
) -> None:
    images = DeviceData(brightness_images(), torch.device("cpu"))
    training = Training(make_trial(), make_experiment(), images)
    with pytest.raises(AssertionError):
        training.test_score()


def test_the_score_is_that_of_the_trained_network(
    store: Store, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    """Worked out here with torch alone, from the network that `repeat` saves."""
    experiment = make_experiment(
        "final.top_k=1", "final.seeds=1", "final.untuned=false", "model.name=lenet", "loss.name=hinge"
    )
    sweep = api.run(experiment, store, workers="inline")
    row = sweep.trials.query("optimizer == 'adam' and phase == 'final'").iloc[0]
    path = tmp_path / "model.pt"
    again = repeat("tiny", "adam", 0, store, final=True, save=path)
    assert again.is_same
    assert again.test == FinalScore(row["test_loss"], row["test_accuracy"])
    network, contents = saving.load(path)
    assert contents["about"]["trial"] == "adam/final/0"
    mean, std = (torch.tensor(contents[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    images = data.load(experiment).test
    labels = torch.tensor(images.labels)
    with torch.inference_mode():
        scores = network((torch.tensor(images.images).float() - mean) / std)
    hinge = functional.multi_margin_loss(scores, labels) * 10
    assert float(hinge) == pytest.approx(row["test_loss"], rel=1e-5)
    assert float((scores.argmax(1) == labels).float().mean()) == pytest.approx(row["test_accuracy"])


def test_who_watches_gets_the_scores(store: Store, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=1")
    scored: list[bool] = []

    class Noted(Watch):
        def finished(
            self, trial: Trial, state: TrialState, last: EpochRecord | None, test: FinalScore | None
        ) -> None:
            scored.append(test is not None)
            is_done = trial.key.phase is Phase.FINAL and state is TrialState.COMPLETE
            assert is_done == (test is not None)

    workers = InlineWorkers(experiment, brightness_images())
    committer = new_sweep(store, experiment)
    coordinate(experiment, committer, workers=workers, watch=Noted()).run()
    assert sum(scored) >= 6
