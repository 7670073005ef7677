"""Warnings: each raised where it must be and on no clean sweep, and each with a line to paste."""

import math
import shlex
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from finals_frames import ARMS, FINALS, SEARCH, near, no_epochs, row, sweep, untuned
from typer.main import get_command

from sweeper import analysis
from sweeper import experiment as experiments
from sweeper.analysis.cautions import Caution, cautions
from sweeper.analysis.shapes import gap, rise
from sweeper.cli import app
from sweeper.experiment import Experiment, Imported, imported

MakeExperiment = Callable[..., Experiment]

CLEAR = {"sgd": near(1.8), "adam": near(1.25), "rmsprop": near(1.5)}


@pytest.fixture
def three(make_experiment: MakeExperiment) -> Experiment:
    """sgd, adam and rmsprop, two settings each besides the untuned one, ten final seeds."""
    return make_experiment(*ARMS, "final.untuned=false")


def found(
    trials: pd.DataFrame, experiment: Experiment, epochs: pd.DataFrame | None = None
) -> dict[str, list[Caution]]:
    """The warnings by kind; each has a text and a line that can be pasted."""
    verdict = analysis.verdict(trials, experiment)
    by_kind: dict[str, list[Caution]] = {}
    for one in cautions(trials, no_epochs() if epochs is None else epochs, experiment, verdict):
        assert one.text.endswith(".")
        assert "nan" not in one.text
        assert is_pasteable(one.line), one.line
        by_kind.setdefault(one.kind, []).append(one)
    return by_kind


def is_pasteable(line: str) -> bool:
    """Whether this is a setting that an experiment file takes, or a command that exists."""
    words = shlex.split(line, comments=True)
    if words[0] == "sweeper":
        return words[1] in get_command(app).commands  # type: ignore[attr-defined]
    assert words[0] == "--set"
    arms = "\n".join(f"[optimizers.{name}]" for name in ("sgd", "adam", "rmsprop", "momentum"))
    experiments.loads(f'[experiment]\nname = "x"\n{arms}', words[1::2])
    return True


def curves(losses: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Epochs of finals 0, 1, ... of each optimizer with these validation losses."""
    rows = [
        {"optimizer": name, "number": number, "phase": "final", "epoch": epoch, "val_loss": loss}
        for name, runs in losses.items()
        for number, run in enumerate(runs)
        for epoch, loss in enumerate(run, 1)
    ]
    frame = pd.DataFrame(rows).assign(val_accuracy=0.5, train_loss=1.0, samples=0, train_s=1.0, eval_s=0.0)
    return frame.astype({"optimizer": "str", "phase": "str"})


# --- a clean sweep ----------------------------------------------------------------------------------------


def test_a_clean_sweep_raises_none(make_experiment: MakeExperiment) -> None:
    frame = pd.concat([sweep(finals=CLEAR), untuned({name: near(2.2) for name in CLEAR})], ignore_index=True)
    falling = curves({name: [[2.0, 1.5 + step, 1.4 + step] for step in near(0)] for name in CLEAR})
    assert found(frame, make_experiment(*ARMS), falling) == {}


# --- was each optimizer searched enough? ------------------------------------------------------------------


def test_an_optimum_at_a_border_names_the_wider_range(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "budget.trials_per_optimizer=4", "final.top_k=0")
    frame = sweep({name: (1.5, 1.6, 1.7) for name in SEARCH}, {})
    frame.loc[(frame["optimizer"] == "adam"), "params.lr"] = 0.09
    (border,) = found(frame, experiment)["border"]
    assert border.text.startswith("adam: its best lr, 0.09, lies at the high end of its range, 0.1")
    assert "optimizers.adam.lr" in border.line
    assert "high = 1," in border.line


def test_an_untuned_setting_that_beats_the_tuned_in_the_search_is_told(three: Experiment) -> None:
    frame = sweep(finals=CLEAR)
    frame.loc[(frame["optimizer"] == "sgd") & (frame["origin"] == "default"), "val_loss"] = 1.0
    (behind,) = found(frame, three)["untuned"]
    assert behind.text == "sgd: the best setting found is worse than the untuned one: searched too little."
    assert behind.line == "--set budget.trials_per_optimizer=6"


def test_an_untuned_setting_that_beats_the_tuned_in_the_finals_is_told_by_the_rule(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(*ARMS)
    others = {name: near(2.2) for name in CLEAR}
    frame = pd.concat([sweep(finals=CLEAR), untuned({**others, "sgd": near(1.6)})], ignore_index=True)
    (behind,) = found(frame, experiment)["untuned"]
    assert behind.text.startswith("sgd: in the finals the tuned setting is worse than the untuned one (1.800")
    luck = pd.concat([sweep(finals=CLEAR), untuned({**others, "sgd": near(1.795)})], ignore_index=True)
    assert "untuned" not in found(luck, experiment)


def test_a_general_rule_that_loses_to_its_special_case_is_told(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        "optimizers.sgd={}",
        "optimizers.momentum.momentum={ low = 0.0, high = 0.99, scale = 'one_minus_log' }",
        "final.top_k=1",
        "final.untuned=false",
    )
    search, finals = {"sgd": (1.5, 1.2), "momentum": (1.9, 1.8)}, {"sgd": near(1.2), "momentum": near(1.8)}
    (inclusion,) = found(sweep(search, finals).assign(**{"params.momentum": 0.5}), experiment)["inclusion"]
    assert inclusion.text.startswith("momentum is worse than sgd, which lies inside its searched space")
    finals = {"sgd": near(1.8), "momentum": near(1.2)}
    assert "inclusion" not in found(sweep(search, finals).assign(**{"params.momentum": 0.5}), experiment)


# --- finals -----------------------------------------------------------------------------------------------


def test_too_few_seeds_name_the_number_that_would_do(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "final.seeds=3")
    (seeds,) = found(sweep(finals={name: values[:3] for name, values in FINALS.items()}), experiment)["seeds"]
    assert seeds == Caution(
        "seeds",
        "sgd, rmsprop: these seeds cannot decide; 5 can.",
        "sweeper resume tiny --set final.seeds=5",
    )


def test_what_is_undecided_names_the_seeds_that_would_decide_it(three: Experiment) -> None:
    (seeds,) = found(sweep(finals={**CLEAR, "rmsprop": near(1.275)}), three)["seeds"]
    assert seeds.text.startswith("Undecided against adam; differences of the size seen would take seeds: rms")
    n = int(seeds.line.removeprefix("sweeper resume tiny --set final.seeds="))
    assert n > 10
    assert f"about {n}" in " ".join(
        analysis.verdict(sweep(finals={**CLEAR, "rmsprop": near(1.275)}), three).lines
    )


def test_a_validation_loss_that_rises_again_is_overfitting(three: Experiment) -> None:
    noisy = [[2.0, 1.3 + step, 1.5 + 2 * step] for step in near(0)]
    falling = [[2.0, 1.6 + step, 1.5 + step] for step in near(0)]
    epochs = curves({"adam": noisy, "sgd": falling})
    (overfits,) = found(sweep(finals=CLEAR), three, epochs)["overfitting"]
    assert overfits.text.startswith(
        "adam overfits: its validation loss is lowest after epoch 2 (1.300) and rises to 1.500 after epoch "
        "3, mean over 10 seeds."
    )
    assert overfits.line.startswith("--set data.augment=true")


def test_with_augmented_images_fewer_epochs_are_left_against_overfitting(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "data.augment=true")
    epochs = curves({"adam": [[2.0, 1.3 + step, 1.5 + 2 * step] for step in near(0)]})
    (overfits,) = found(sweep(finals=CLEAR), experiment, epochs)["overfitting"]
    assert overfits.line == "--set budget.epochs=2"


def test_finals_in_two_groups_are_told(three: Experiment) -> None:
    lucky = [1.2, 1.21, 1.22, 1.23, 1.24, 1.25, 1.26, 1.27, 2.2, 2.3]
    (bimodal,) = found(sweep(finals={**CLEAR, "adam": lucky}), three)["bimodal"]
    assert bimodal.text.startswith("adam's finals fall into two groups, 8 up to 1.270 and 2 from 2.200 on")
    assert bimodal.line == "sweeper show tiny adam 0 --final"


def test_two_groups_are_found_where_they_are_and_rarely_where_not() -> None:
    generator = np.random.default_rng(0)
    normal = np.sort(generator.normal(size=(3000, 10)), axis=1)
    assert np.mean([gap(one) is not None for one in normal]) < 0.015
    shifted = generator.normal(size=(300, 10)) + 10 * (np.arange(10) < 5)
    assert np.mean([gap(one) is not None for one in np.sort(shifted, axis=1)]) > 0.9
    assert gap(np.array([0.0] * 9 + [9.0])) is None, "one outlier is no group"
    assert gap(np.array([0.0, 0, 0, 9, 9, 9])) is None, "too few"
    assert gap(np.ones(10)) is None


def test_a_rise_is_rarely_found_in_flat_noise() -> None:
    generator = np.random.default_rng(0)
    for n, n_epochs in ((3, 10), (10, 4)):
        flat = 1.5 * (1 + 0.03 * generator.normal(size=(150, n, n_epochs)))
        hits = [rise(pd.DataFrame(one, columns=range(1, n_epochs + 1))) is not None for one in flat]
        assert np.mean(hits) < 0.06
    assert rise(pd.DataFrame([[1.0, 2.0]])) is None, "one seed has no spread"


# --- trials -----------------------------------------------------------------------------------------------


def test_pruned_trials_are_told_with_their_bias(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "search.pruner=median")
    frame = sweep(finals=CLEAR)
    frame.loc[
        (frame["optimizer"] == "sgd") & (frame["number"] == 1) & (frame["phase"] == "search"), "state"
    ] = "pruned"
    (pruned,) = found(frame, experiment)["pruning"]
    assert pruned.text.startswith("1 trial pruned (median): pruned trials have no score, and rungs favour")
    assert pruned.line == "--set search.pruner=none"


def test_failed_trials_name_the_gradient_check_and_the_error(three: Experiment) -> None:
    frame = sweep(finals=CLEAR)
    frame.loc[frame.index[-1], ["state", "error"]] = ["failed", "RuntimeError: boom\nsecond line"]
    (failed,) = found(frame, three)["failed"]
    assert failed.text.startswith("rmsprop: 1 trial failed (RuntimeError: boom")
    assert "\n" not in failed.text
    assert failed.line == "sweeper gradcheck"


def test_optimizers_that_spend_more_samples_are_told(three: Experiment) -> None:
    frame = sweep(finals=CLEAR)
    frame.loc[frame["optimizer"] == "sgd", "samples"] = 300
    (cost,) = found(frame, three)["cost"]
    assert cost.text.endswith("(medians): sgd 300, adam 400, rmsprop 400.")


def test_unequal_numbers_of_trials_are_told(make_experiment: MakeExperiment) -> None:
    joint = make_experiment(*ARMS, "final.top_k=0", "search.mode=joint")
    (cost,) = found(sweep({**SEARCH, "adam": (1.5, 1.2, 1.3), "sgd": (1.9,)}, {}), joint)["cost"]
    assert "unequal numbers of trials: sgd 2, adam 4, rmsprop 3" in cost.text
    assert cost.line == "--set search.mode=per_optimizer"


def test_a_budget_of_its_own_is_told(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "optimizers.newton.steps=1", "model.input_size=8", "final.top_k=0")
    (cost,) = found(sweep({**SEARCH, "newton": (1.0, 1.1)}, {}), experiment)["cost"]
    assert cost.text.startswith("newton has a budget of its own")


def test_an_incomplete_sweep_is_told_and_its_counts_are_not_called_unequal(three: Experiment) -> None:
    frame = sweep({**SEARCH, "sgd": (1.9,)}, {})
    (incomplete,) = found(frame, three)["incomplete"]
    assert incomplete.text.startswith("Not complete: 8 of 9 trials and 0 of up to 30 finals have ended")
    assert incomplete.line == "sweeper resume tiny"
    assert "cost" not in found(frame, three)
    (waiting,) = found(sweep(finals={**CLEAR, "sgd": []}), three)["incomplete"]
    assert "9 of 9 trials and 20 of 30 finals" in waiting.text


# --- imported results -------------------------------------------------------------------------------------


def test_imported_results_say_what_they_leave_open() -> None:
    def of(*, independent: bool, epochs: pd.DataFrame | None = None) -> list[str]:
        origin = Imported("runs.csv", independent)
        experiment = imported.imported("old", "val_loss", list(SEARCH), origin, trials_per_optimizer=3)
        return [one.line for one in found(sweep(finals={}), experiment, epochs)["imported"]]

    lines = of(independent=False)
    assert len(lines) == 3
    assert lines[1] == "sweeper import old --trials FILE --epochs FILE"
    assert lines[2] == "sweeper import old --trials FILE --proposals independent"
    assert len(of(independent=True, epochs=curves({"adam": [[2.0, 1.0]]}))) == 1


def test_imported_results_are_warned_of_unequal_numbers() -> None:
    experiment = imported.imported(
        "old", "val_loss", list(SEARCH), Imported("runs.csv", True), trials_per_optimizer=4
    )
    frame = sweep({**SEARCH, "sgd": (1.9, 1.8, 1.7)}, {}).assign(samples=0, val_accuracy=math.nan)
    (cost,) = found(frame, experiment)["cost"]
    assert cost.line == "sweeper import tiny --trials FILE  # with 3 trials of each"
    assert found(pd.DataFrame([row("x", 1, 1.0)]), experiment).keys() == {"imported"}
