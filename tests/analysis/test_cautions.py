"""Warnings: each where it must be, none on a clean sweep, and a line to paste in every one."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis.cautions import Caution, cautions, gap
from sweeper.experiment import Experiment

ARMS = ("optimizers.sgd={}", "optimizers.adam={}", "final.top_k=1", "final.untuned=true")
N_FINALS = 10
SPREAD = np.linspace(-0.05, 0.05, N_FINALS)
MEANS = {"sgd": 1.5, "adam": 1.2}


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two arms, clearly apart, with finals of the tuned and of a much worse untuned setting."""
    rows, epochs = [], []
    for name, mean in MEANS.items():
        for k, loss in enumerate((2.0, mean, mean + 0.2)):
            rows.append(row(name, "search", k, k, loss, origin="proposed" if k else "default"))
        for j, shift in enumerate(SPREAD):
            rows.append(row(name, "final", j, 1, mean + shift, origin="final"))
            rows.append(row(name, "final", 50 + j, 0, 2.0 + shift, origin="final"))
            for epoch, loss in enumerate((2.0, mean + shift), start=1):
                key = {"optimizer": name, "number": j, "phase": "final", "epoch": epoch}
                epochs.append({**key, "val_loss": loss, "val_accuracy": 0.4, "samples": 200 * epoch})
    return pd.DataFrame(rows), pd.DataFrame(epochs)


def row(name: str, phase: str, number: int, setting: int, loss: float, origin: str) -> dict[str, object]:
    test = loss if phase == "final" else np.nan
    return {
        "sweep": "s",
        "optimizer": name,
        "number": number,
        "phase": phase,
        "origin": origin,
        "independent": origin == "proposed",
        "setting": setting,
        "seed": number % 50,
        "state": "complete",
        "samples": 400,
        "train_s": 1.0,
        "eval_s": 0.1,
        "val_loss": loss,
        "val_accuracy": 0.4,
        "test_loss": test,
        "test_accuracy": 0.4 if phase == "final" else np.nan,
        "error": None,
        "params.lr": 0.03,
    }


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment(*ARMS)


def found(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> dict[str, Caution]:
    all_found = cautions(trials, epochs, experiment, analysis.verdict(trials, experiment, resamples=200))
    assert all(one.line and "\n" not in one.text for one in all_found)
    return {one.kind: one for one in all_found}


def test_a_clean_sweep_has_none(experiment: Experiment) -> None:
    assert found(*frames(), experiment) == {}


def test_an_optimum_at_a_border(experiment: Experiment) -> None:
    trials, epochs = frames()
    more = pd.DataFrame([row("sgd", "search", 3, 3, 1.6, "proposed")])
    trials = pd.concat([trials, more], ignore_index=True)
    trials.loc[trials["optimizer"] == "sgd", "params.lr"] = 0.95
    assert "sgd: its best lr, 0.95, lies at the high end" in found(trials, epochs, experiment)["border"].text


def test_an_untuned_setting_that_is_better_in_the_search(experiment: Experiment) -> None:
    trials, epochs = frames()
    trials.loc[(trials["optimizer"] == "sgd") & (trials["origin"] == "default"), "val_loss"] = 1.4
    caution = found(trials, epochs, experiment)["untuned"]
    assert caution.text.startswith("sgd: the best setting found is worse than the untuned one")
    assert caution.line == "--set budget.trials_per_optimizer=6"


def test_an_untuned_setting_that_is_better_in_the_finals_with_the_decision(experiment: Experiment) -> None:
    trials, epochs = frames()
    is_untuned = (trials["optimizer"] == "adam") & (trials["phase"] == "final") & (trials["setting"] == 0)
    trials.loc[is_untuned, "test_loss"] = 1.0 + SPREAD
    caution = found(trials, epochs, experiment)["untuned"]
    assert "adam: in the finals the untuned setting has the better mean (1.000 against 1.200)" in caution.text
    assert caution.text.endswith("the tuned one is: worse.")


def test_seeds_that_cannot_decide_and_how_many_would_do(make_experiment: Callable[..., Experiment]) -> None:
    trials, epochs = frames()
    experiment = make_experiment(*ARMS, "final.seeds=2")
    few = trials[(trials["phase"] == "search") | (trials["seed"] < 2)]
    caution = found(few, epochs, experiment)["seeds"]
    assert "sgd: these seeds cannot decide" in caution.text
    assert caution.line == "sweeper resume s --set final.seeds=4"


def test_an_undecided_difference_names_the_seeds_that_it_takes(experiment: Experiment) -> None:
    trials, epochs = frames()
    is_tuned = (trials["optimizer"] == "sgd") & (trials["phase"] == "final") & (trials["setting"] == 1)
    trials.loc[is_tuned, "test_loss"] = 1.2 + 0.025 + SPREAD
    caution = found(trials, epochs, experiment)["seeds"]
    assert caution.text.startswith("Undecided against adam")
    assert int(caution.line.rpartition("=")[2]) > N_FINALS


def test_a_validation_loss_that_rises_again(experiment: Experiment) -> None:
    trials, epochs = frames()
    later = epochs[(epochs["epoch"] == 2) & (epochs["optimizer"] == "sgd")]
    later = later.assign(epoch=3, val_loss=later["val_loss"] + 0.2)
    caution = found(trials, pd.concat([epochs, later], ignore_index=True), experiment)["overfitting"]
    assert "sgd overfits: its validation loss is lowest after epoch 2" in caution.text
    assert caution.line == "--set budget.epochs=2"


def test_a_rise_within_the_noise_is_none(experiment: Experiment) -> None:
    trials, epochs = frames()
    noise = np.random.default_rng(0).normal(0.002, 0.05, 2 * N_FINALS)
    later = epochs[epochs["epoch"] == 2].assign(epoch=3)
    later = later.assign(val_loss=later["val_loss"] + noise)
    assert "overfitting" not in found(trials, pd.concat([epochs, later], ignore_index=True), experiment)


def test_finals_in_two_groups(experiment: Experiment) -> None:
    trials, epochs = frames()
    is_some = (trials["optimizer"] == "sgd") & (trials["setting"] == 1) & (trials["seed"] < 3)
    trials.loc[is_some & (trials["phase"] == "final"), "test_loss"] = 2.3
    caution = found(trials, epochs, experiment)["bimodal"]
    assert "7 up to 1.550 and 3 from 2.300 on" in caution.text
    assert caution.line.startswith("sweeper show s sgd ")


def test_one_outlier_is_no_group_and_normal_samples_seldom_have_two() -> None:
    assert gap(np.array([1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 9])) is None
    samples = np.sort(np.random.default_rng(0).normal(size=(2000, 10)), axis=1)
    assert sum(gap(sample) is not None for sample in samples) < 0.02 * 2000


def test_pruned_and_failed_trials(experiment: Experiment) -> None:
    trials, epochs = frames()
    more = pd.DataFrame(
        [
            {**row("sgd", "search", 3, 3, 2.0, "proposed"), "state": "pruned"},
            {**row("adam", "search", 3, 3, 2.0, "proposed"), "state": "failed", "error": "a\nb"},
        ]
    )
    all_found = found(pd.concat([trials, more], ignore_index=True), epochs, experiment)
    assert all_found["pruning"].line == "--set search.pruner=none"
    assert "adam: 1 trial failed (a\\nb)" in all_found["failed"].text
    assert "sweeper gradcheck" in all_found["failed"].line


def test_unequal_numbers_of_trials(experiment: Experiment) -> None:
    trials, epochs = frames()
    fewer = trials[
        ~((trials["optimizer"] == "sgd") & (trials["number"] == 2) & (trials["phase"] == "search"))
    ]
    assert "sgd 2, adam 3" in found(fewer, epochs, experiment)["cost"].text
