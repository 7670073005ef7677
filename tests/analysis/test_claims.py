"""The lecture's claims, judged by decisions alone."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis.claims import Claim, claims
from sweeper.experiment import Experiment

SPREAD = np.linspace(-0.05, 0.05, 10)
ARMS = (
    "optimizers.sgd={}",
    "optimizers.momentum={}",
    "optimizers.adam={}",
    "final.top_k=1",
    "final.untuned=true",
)

Losses = Mapping[str, float]
TUNED = {"sgd": 1.8, "momentum": 1.2, "adam": 1.5}
UNTUNED = {"sgd": 2.2, "momentum": 1.9, "adam": 1.4}


def sweep(tuned: Losses = TUNED, untuned: Losses = UNTUNED) -> pd.DataFrame:
    rows = []
    for name, loss in tuned.items():
        for k in range(3):
            rows.append(row(name, "search", k, k, loss + 0.3 * (k == 2)))
        for j, shift in enumerate(SPREAD):
            rows.append(row(name, "final", j, 1, loss + shift))
            rows.append(row(name, "final", 50 + j, 0, untuned[name] + shift))
    return pd.DataFrame(rows)


def row(name: str, phase: str, number: int, setting: int, loss: float) -> dict[str, object]:
    is_final = phase == "final"
    return {
        "optimizer": name,
        "number": number,
        "phase": phase,
        "origin": "final" if is_final else "proposed" if number else "default",
        "independent": number > 0 and not is_final,
        "setting": setting,
        "seed": number % 50,
        "state": "complete",
        "val_loss": loss,
        "val_accuracy": 0.4,
        "test_loss": loss if is_final else np.nan,
        "test_accuracy": 0.4 if is_final else np.nan,
    }


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment(*ARMS)


def judged(trials: pd.DataFrame, experiment: Experiment) -> dict[str, Claim]:
    verdict = analysis.verdict(trials, experiment, resamples=500)
    return {one.claim: one for one in claims(trials, experiment, verdict)}


def test_claims_that_hold_do_not_hold_or_cannot_be_said(experiment: Experiment) -> None:
    found = judged(sweep(), experiment)
    assert found["Momentum is better than plain SGD."].holds is True
    assert found["Adam is a good default."].holds is True
    turned = judged(sweep({**TUNED, "momentum": 2.0}, {**UNTUNED, "adam": 2.25}), experiment)
    assert turned["Momentum is better than plain SGD."].holds is False
    assert turned["Adam is a good default."].holds is False
    same = judged(sweep({**TUNED, "momentum": 1.79}), experiment)
    assert same["Momentum is better than plain SGD."].holds is None


def test_beating_adam_takes_more_tries_too(experiment: Experiment) -> None:
    claim = judged(sweep(), experiment)["SGD with momentum can beat Adam, but needs more tuning."]
    assert (
        "momentum against adam: better. To expect what both reach, momentum takes 1 random trials"
        in claim.finding
    )
    assert claim.holds is False  # better, but with fewer tries
    worse = judged(sweep({**TUNED, "momentum": 1.7}), experiment)
    assert worse["SGD with momentum can beat Adam, but needs more tuning."].holds is False


def test_only_claims_about_compared_optimizers_are_named(make_experiment: Callable[..., Experiment]) -> None:
    two = make_experiment("optimizers.sgd={}", "optimizers.adam={}", "final.top_k=1", "final.untuned=true")
    trials = sweep()
    assert list(judged(trials[trials["optimizer"] != "momentum"], two)) == ["Adam is a good default."]


def test_without_finals_nothing_can_be_said(experiment: Experiment) -> None:
    trials = sweep()
    found = judged(trials[trials["phase"] == "search"], experiment)
    assert {one.holds for one in found.values()} == {None}
