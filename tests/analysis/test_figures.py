"""Figures: they draw the numbers that they are given, in colours that can be told apart, and obey no name."""

import json
from collections.abc import Callable

import imported_sweeps
import numpy as np
import pandas as pd
import pytest

from sweeper import analysis, api
from sweeper.analysis import figures
from sweeper.analysis.figures import style
from sweeper.analysis.report.numbers import Numbers
from sweeper.experiment import Experiment
from sweeper.optimizers import ARMS, LECTURE

EVIL = "<b onclick=alert(1)>x</b>"


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    """The numbers of 96 made-up trials and ten finals of each optimizer."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 's.db'}"
    trials, epochs = imported_sweeps.tables(96, 4)
    sweep = api.import_trials("x", trials, epochs, independent=True, store=store)
    return sweep.report().numbers


def drawn(figure: object, name: str) -> list[object]:
    """The traces of an optimizer that are listed in the legend, or all of its."""
    return [trace for trace in figure.data if trace.name == name]  # type: ignore[attr-defined]


def test_the_expected_best_is_drawn_as_computed_and_answers_in_tries(computed: Numbers) -> None:
    figure = figures.expected_best(computed.expected, objective="val_loss")
    [line] = drawn(figure, "adam")
    assert np.array_equal(line.y, computed.expected["adam"]["mean"])  # type: ignore[attr-defined]
    assert "adam needs" in figure.layout.meta["answer"]
    assert "To expect a validation loss of" in figure.layout.meta["answer"]


def test_every_final_is_a_point_and_the_interval_is_the_summarys(computed: Numbers) -> None:
    figure = figures.finals(computed.points, computed.summary, metric="test loss")
    [points] = drawn(figure, "sgd")
    tuned = computed.points[(computed.points["kind"] == "tuned") & (computed.points["optimizer"] == "sgd")]
    assert sorted(points.x) == sorted(tuned["value"])  # type: ignore[attr-defined]
    row = computed.summary.set_index("optimizer").loc["sgd"]
    bar = next(trace for trace in figure.data if trace.error_x.array is not None)
    assert bar.x[0] == row["final_mean"]
    assert bar.error_x.array[0] == pytest.approx(row["final_high"] - row["final_mean"])


def test_a_pairs_cell_and_its_mirror_add_up_to_1(computed: Numbers) -> None:
    assert computed.verdict.pairs is not None
    [heat] = figures.pairs(computed.verdict.pairs, list(LECTURE)).data
    z = np.array(heat.z, dtype=float)
    off = ~np.eye(6, dtype=bool)
    assert (z + z.T)[off] == pytest.approx(1.0)
    first = computed.verdict.pairs.iloc[0]
    assert z[0, 1] == pytest.approx(first["estimate"])
    assert first["decision"].split(",")[0] in heat.text[0][1]


def test_of_many_trials_the_path_is_drawn_by_its_improvements() -> None:
    scores = np.random.default_rng(0).normal(size=2_000)
    path = pd.DataFrame(
        {"optimizer": "adam", "number": np.arange(2_000), "best": np.minimum.accumulate(scores)}
    )
    [trace] = figures.incumbents(path, objective="val_loss").data
    assert len(trace.x) < 30
    # A line in steps holds its value to the next point: so it is the same at every trial.
    steps = pd.Series(trace.y, index=trace.x).reindex(path["number"]).ffill()
    np.testing.assert_array_equal(steps.to_numpy(), path["best"].to_numpy())


def test_dead_settings_are_drawn_at_chance(computed: Numbers) -> None:
    points = computed.lr.assign(
        is_dead=computed.lr["number"] == 3, score=computed.lr["score"].clip(upper=2.302)
    )
    figure = figures.lr_sensitivity(points, computed.lr_bins, objective="val_loss", chance=2.3026)
    assert len([trace for trace in figure.data if trace.name and trace.name.endswith("dead")]) == 6
    assert figure.layout.xaxis.type == "log"


def test_learning_curves_draw_the_computed_means(computed: Numbers) -> None:
    figure = figures.learning_curves(computed.curves, column="val_loss")
    mine = computed.curves[
        (computed.curves["optimizer"] == "adam") & (computed.curves["column"] == "val_loss")
    ]
    [line] = drawn(figure, "adam")
    assert np.array_equal(line.y, mine["mean"])  # type: ignore[attr-defined]
    assert [trace.name for trace in figure.data if trace.name] == list(LECTURE)


def test_the_timeline_draws_each_attempt_once_and_merges_thousands() -> None:
    n = 5_000
    start = pd.Timestamp("2026-03-01", tz="UTC")
    begun = pd.Series([start + pd.Timedelta(seconds=k) for k in range(n)])
    attempts = pd.DataFrame(
        {
            "optimizer": ["sgd"] * (n // 2) + ["adam"] * (n // 2),
            "phase": "search",
            "worker": "w",
            "why": "complete",
            "started_at": begun,
            "ended_at": begun + pd.Timedelta(seconds=1),
        }
    )
    few = figures.timeline(attempts.iloc[:10])
    assert len(few.data[0].x) == 10
    many = figures.timeline(attempts)
    assert sum(len(trace.x) for trace in many.data) == 2
    assert "are one bar (2)" in many.layout.meta["answer"]
    paused = attempts.assign(started_at=start + 10 * (begun - start), ended_at=start + 10 * (begun - start))
    paused["ended_at"] += pd.Timedelta(seconds=1)
    drawn_s = sum(float(np.sum(trace.x)) for trace in figures.timeline(paused).data)
    assert drawn_s == pytest.approx(n)  # a worker that waits is not drawn as busy
    alternating = attempts.assign(optimizer=["sgd", "adam"] * (n // 2))
    assert "one bar" not in figures.timeline(alternating).layout.meta["answer"]


def test_every_figure_has_an_answer_axes_and_no_nan(computed: Numbers) -> None:
    made = [
        figures.expected_best(computed.expected, objective="val_loss"),
        figures.win_probability(computed.wins),
        figures.incumbents(computed.incumbents, objective="val_loss"),
        figures.finals(computed.points, computed.summary, metric="test loss"),
        figures.learning_curves(computed.curves, by="seconds"),
        figures.generalization_gap(computed.curves),
        figures.lr_sensitivity(computed.lr, computed.lr_bins, objective="val_loss", chance=None),
    ]
    for figure in made:
        answer = figure.layout.meta["answer"]
        assert answer.endswith(".")
        assert "nan" not in answer
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text or figure.layout.yaxis.ticktext


def test_what_is_missing_is_said() -> None:
    nothing = pd.DataFrame()
    assert "No expected best" in figures.expected_best({}, objective="val_loss").layout.meta["answer"]
    assert "No win" in figures.win_probability(pd.DataFrame(columns=["k"])).layout.meta["answer"]
    assert "No importances" in figures.importances({}).layout.meta["answer"]
    columns = ["started_at", "ended_at", "why"]
    assert "No timeline" in figures.timeline(nothing.reindex(columns=columns)).layout.meta["answer"]


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = [f"{'x' * 30}{k}" for k in range(3)]
    pairs = [(names[0], names[1]), (names[0], names[2]), (names[1], names[2])]
    frame = pd.DataFrame(pairs, columns=["a", "b"]).assign(
        estimate=2 / 3, low=0.2, high=0.9, decision="undecided"
    )
    [heat] = figures.pairs(frame, names).data
    assert np.array(heat.z).shape == (3, 3)
    assert heat.text[0][1].startswith("<b>0.67</b>")


def test_what_has_no_number_is_left_out_of_a_figure(computed: Numbers) -> None:
    broken = computed.summary.copy()
    broken.loc[broken["optimizer"] == "sgd", ["final_mean", "final_low", "final_high"]] = np.nan
    answer = figures.finals(computed.points, broken, metric="test loss").layout.meta["answer"]
    assert "nan" not in answer
    assert "adam" in answer


def test_names_from_outside_are_text() -> None:
    curve = pd.DataFrame({"k": [1, 2], "mean": [1.0, 0.9], "low": [0.9, 0.8], "high": [1.1, 1.0]})
    figure = figures.expected_best({EVIL: curve}, objective="val_loss")
    shown = json.loads(figure.to_json())["data"][1]["name"]
    assert "<" not in shown
    assert len(style.label("x" * 500)) <= 24


def test_ten_thousand_trials_stay_small() -> None:
    lr = pd.DataFrame(
        {
            "optimizer": np.repeat(list(LECTURE), 1700),
            "lr": np.geomspace(1e-5, 1, 10_200),
            "score": np.linspace(0, 2, 10_200),
            "is_dead": False,
        }
    )
    bins = pd.DataFrame({"optimizer": ["sgd"], "low": [0.1], "high": [0.3], "best": [1.0]})
    assert len(figures.lr_sensitivity(lr, bins, objective="val_loss", chance=2.3).to_json()) < 300_000


# --- colours ----------------------------------------------------------------------------------------------

# Linear RGB seen by who lacks one kind of cone, severity 1 (Machado, Oliveira and Fernandes 2009).
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)


def rgb(colour: str) -> np.ndarray:
    values = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(rgb(colour) @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("cones", [np.eye(3), PROTANOPIA, DEUTERANOPIA], ids=["all", "protan", "deutan"])
def test_the_lectures_six_can_be_told_apart(cones: np.ndarray) -> None:
    """By colour (the distance of black and white is 1.7), and by symbol and dash besides."""
    seen = {name: np.array(cones) @ rgb(style.look(name).colour) for name in LECTURE}
    for a in LECTURE:
        for b in LECTURE:
            assert a == b or np.abs(seen[a] - seen[b]).sum() > 0.1, (a, b)
    assert len({style.look(name)[1:] for name in LECTURE}) == 6


def test_every_arm_has_its_own_look_and_others_a_stable_one() -> None:
    assert len({style.look(name) for name in ARMS}) == len(ARMS)
    assert style.look("lion") == style.look("lion")


@pytest.mark.parametrize("ground", ["#ffffff", "#14171c"])
def test_every_colour_stands_out_from_both_grounds(ground: str) -> None:
    """A contrast of 2 at least: lines are wide and points large."""
    for name in ARMS:
        lights = sorted((luminance(style.look(name).colour), luminance(ground)))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) > 2, name


def test_the_seed_bands_are_the_lowest_and_the_highest_seed(
    make_experiment: Callable[..., Experiment],
) -> None:
    """Two finals whose losses after epoch 2 are 1.0 and 1.4, 3 s after their start."""
    experiment = make_experiment("optimizers.sgd={}")
    key = {"optimizer": "sgd", "phase": "final"}
    final = {**key, "origin": "final", "setting": 1, "state": "complete", "val_loss": 1.2, "test_loss": 1.0}
    trials = pd.DataFrame([{**final, "number": n, "test_accuracy": 0.5} for n in (0, 1)])
    spent = {"train_s": 1.0, "eval_s": 0.5, "train_loss": 1.0, "val_accuracy": 0.4}
    losses = {(0, 1): 2.0, (0, 2): 1.0, (1, 1): 2.0, (1, 2): 1.4}
    epochs = pd.DataFrame(
        [{**key, **spent, "number": n, "epoch": e, "val_loss": loss} for (n, e), loss in losses.items()]
    )
    found = analysis.curves(trials, epochs, experiment)
    last = found[(found["column"] == "val_loss") & (found["epoch"] == 2)].iloc[0]
    assert (last["mean"], last["low"], last["high"], last["n"], last["seconds"]) == (1.2, 1.0, 1.4, 2, 3.0)
    gap = found[(found["column"] == "gap") & (found["epoch"] == 2)].iloc[0]
    assert gap["mean"] == pytest.approx(0.2)


def test_a_tie_in_the_win_probability_names_all_who_lead() -> None:
    tied = pd.DataFrame({"k": [1, 2], "sgd": [0.4, 0.5], "adam": [0.6, 0.5]})
    answer = figures.win_probability(tied).layout.meta["answer"]
    assert "each, sgd and adam each have the best score in 50% of searches" in answer
