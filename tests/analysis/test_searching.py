"""Expected best and win probability, against closed forms and every subset counted by hand."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sweeper import analysis
from sweeper.analysis import searching
from sweeper.errors import UsageError
from sweeper.experiment import Experiment, imported
from sweeper.experiment.model import Imported

VALUES = [0.31, 0.12, 0.5, 0.44, 0.12, 0.27]
MakeExperiment = Callable[..., Experiment]


# --- expected best ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("higher", [True, False])
def test_the_expected_best_is_the_mean_over_all_subsets(higher: bool) -> None:
    curve = analysis.expected_best(VALUES, higher_is_better=higher, resamples=10)
    best = max if higher else min
    for k, mean in zip(curve["k"], curve["mean"], strict=True):
        subsets = [best(subset) for subset in itertools.combinations(VALUES, k)]
        assert mean == pytest.approx(sum(subsets) / len(subsets))


def test_one_try_gives_the_mean_and_all_tries_the_best() -> None:
    curve = analysis.expected_best(VALUES, higher_is_better=True, resamples=10)
    assert curve["mean"].iloc[0] == pytest.approx(np.mean(VALUES))
    assert curve["mean"].iloc[-1] == pytest.approx(max(VALUES))


def test_uniform_scores_average_to_k_over_k_plus_1() -> None:
    """The k-th order statistic of k uniform draws has the mean k / (k + 1)."""
    samples = np.random.default_rng(0).uniform(size=(400, 12))
    means = np.mean(
        [analysis.expected_best(s, higher_is_better=True, resamples=2)["mean"] for s in samples], axis=0
    )
    k = np.arange(1, 13)
    assert means == pytest.approx(k / (k + 1), abs=4 * 0.29 / math.sqrt(400))


def test_it_is_unbiased_where_the_plug_in_of_dodge_is_too_low() -> None:
    samples = np.random.default_rng(1).uniform(size=(400, 5))
    i, k = np.arange(1, 6), 5
    plug_in = np.sort(samples) @ ((i / 5) ** k - ((i - 1) / 5) ** k)
    ours = [analysis.expected_best(s, k, higher_is_better=True, resamples=2)["mean"].item() for s in samples]
    assert np.mean(ours) == pytest.approx(5 / 6, abs=4 * 0.141 / math.sqrt(400))
    assert np.mean(plug_in) < 5 / 6 - 0.05


def test_thousands_of_scores_are_exact() -> None:
    n, k = 3000, 1500
    mean = analysis.expected_best(np.arange(1, n + 1), k, higher_is_better=True, resamples=2)["mean"].item()
    assert mean == pytest.approx(k * (n + 1) / (k + 1))  # German tank problem


def test_the_band_holds_the_truth_about_as_often_as_it_says() -> None:
    """Percentile bands of a maximum's neighbour are honest in the middle of the range."""
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        band = analysis.expected_best(
            generator.uniform(size=40), 3, higher_is_better=True, resamples=300
        ).iloc[0]
        hits += bool(band["low"] <= 0.75 <= band["high"])
    assert 175 <= hits <= 200


def test_order_does_not_matter_and_a_constant_shifts_the_curve() -> None:
    curve = analysis.expected_best(VALUES, higher_is_better=False, resamples=50)
    turned = analysis.expected_best(VALUES[::-1], higher_is_better=False, resamples=50)
    shifted = analysis.expected_best([v + 2 for v in VALUES], higher_is_better=False, resamples=50)
    pd.testing.assert_frame_equal(curve, turned)
    assert (shifted["mean"] - 2).to_numpy() == pytest.approx(curve["mean"].to_numpy())
    assert (shifted["low"] - 2).to_numpy() == pytest.approx(curve["low"].to_numpy())


# --- who would win ----------------------------------------------------------------------------------------


def test_equal_arms_win_equally_often_and_all_sums_to_1() -> None:
    wins = analysis.win_probability(
        {name: VALUES for name in "abcd"}, 3, higher_is_better=True, resamples=8000
    )
    assert wins.sum() == pytest.approx(1)
    assert wins.to_numpy() == pytest.approx(0.25, abs=0.02)


def test_an_arm_that_is_ahead_of_all_always_wins() -> None:
    wins = analysis.win_probability({"good": [1, 2], "bad": [3, 4]}, 1, higher_is_better=False)
    assert wins.to_dict() == {"good": 1.0, "bad": 0.0}


def test_two_draws_of_two_values_win_as_often_as_counted() -> None:
    """a draws from {0, 2}, b always gives 1: a's best of 2 is 2 with probability 3/4."""
    wins = analysis.win_probability({"a": [0, 2], "b": [1, 1]}, 2, higher_is_better=True, resamples=20_000)
    assert wins["a"] == pytest.approx(0.75, abs=0.015)


def test_it_is_what_the_products_of_the_empirical_distributions_give() -> None:
    """P(best of k <= x) is F(x)^k; without ties between arms, arm i wins where all others are below."""
    generator = np.random.default_rng(3)
    arms = {name: generator.normal(shift, 1, 12) for name, shift in (("a", 0.0), ("b", 0.3), ("c", 0.8))}
    k, values = 4, np.sort(np.concatenate(list(arms.values())))
    below = {name: np.searchsorted(np.sort(s), values, "right") / 12 for name, s in arms.items()}
    wins = analysis.win_probability(arms, k, higher_is_better=True, resamples=20_000)
    for name in arms:
        mass = np.diff(below[name] ** k, prepend=0.0)
        others = np.prod([below[other] ** k for other in arms if other != name], axis=0)
        assert wins[name] == pytest.approx(float((mass * others).sum()), abs=4 * 0.5 / math.sqrt(20_000))


@pytest.mark.parametrize("scores", [[], [0.1, math.nan]])
def test_what_is_no_score_is_refused(scores: list[float]) -> None:
    with pytest.raises(UsageError, match="must be one or more finite numbers"):
        analysis.expected_best(scores, higher_is_better=True)
    with pytest.raises(UsageError, match="scores of a: must be"):
        analysis.win_probability({"a": scores}, 1, higher_is_better=True)


def test_ties_are_split() -> None:
    assert analysis.win_probability({"a": [1], "b": [1]}, 1, higher_is_better=True)["a"] == 0.5


# --- which trials are independent -------------------------------------------------------------------------


def search(n: int = 4, **columns: object) -> pd.DataFrame:
    rows = [
        {
            "optimizer": name,
            "number": k,
            "phase": "search",
            "origin": "proposed" if k else "default",
            "state": "complete",
            "independent": 0 < k <= 2,
            "val_loss": 2.0 - 0.1 * k,
            **columns,
        }
        for name in ("sgd", "adam")
        for k in range(n)
    ]
    return pd.DataFrame(rows)


ARMS = ("optimizers.sgd={}", "optimizers.adam={}", "budget.trials_per_optimizer=4")


def test_of_a_guided_search_only_the_independent_half_counts(make_experiment: MakeExperiment) -> None:
    found = analysis.independent_scores(search(), make_experiment(*ARMS, "search.sampler=tpe"))
    assert {name: list(scores) for name, scores in found.scores.items()} == {
        "sgd": [1.9, 1.8],
        "adam": [1.9, 1.8],
    }
    assert "first 2 trials" in str(found.note)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("search.pruner=asha",), "pruned"),
        (("search.mode=joint", "search.sampler=tpe"), "joint"),
        (("search.sampler=grid",), "grid"),
        (("budget.trials_per_optimizer=9",), "not over"),
    ],
)
def test_where_draws_are_not_independent_it_says_why(
    make_experiment: MakeExperiment, settings: tuple[str, ...], reason: str
) -> None:
    found = analysis.independent_scores(search(), make_experiment(*ARMS, *settings))
    assert reason in str(found.reason)
    assert not found.scores


@pytest.mark.parametrize("independent", [True, False])
def test_imported_results_must_say_that_they_are_independent(independent: bool) -> None:
    experiment = imported.imported("x", "val_loss", ["sgd", "adam"], Imported("x.csv", independent))
    found = analysis.independent_scores(search(), experiment)
    assert bool(found.scores) is independent
    assert (found.reason is None) is independent


def test_the_incumbent_only_improves(make_experiment: MakeExperiment) -> None:
    frame = search()
    frame.loc[frame["number"] == 3, "val_loss"] = 2.5
    path = analysis.incumbents(frame, make_experiment(*ARMS))
    assert list(path.loc[path["optimizer"] == "sgd", "best"]) == [1.9, 1.8, 1.8]


def test_tries_are_counted_until_the_curve_is_there() -> None:
    curve = pd.DataFrame({"k": [1, 2, 3], "mean": [1.0, 0.8, 0.7]})
    assert searching.tries_until(curve, 0.8, higher_is_better=False) == 2
    assert searching.tries_until(curve, 0.5, higher_is_better=False) is None
    assert searching.common_target({"a": curve, "b": curve + 0.5}, higher_is_better=False) == 1.2


def test_neither_the_order_of_arms_nor_that_of_their_scores_matters() -> None:
    scores = {"a": VALUES, "b": [v + 0.05 for v in VALUES], "c": [v - 0.02 for v in VALUES]}
    turned = {name: scores[name][::-1] for name in ("c", "a", "b")}
    wins = analysis.win_probability(scores, 2, higher_is_better=True)
    again = analysis.win_probability(turned, 2, higher_is_better=True)
    assert wins.to_dict() == again.to_dict()


@pytest.mark.parametrize("k", [0, 7])
def test_more_tries_than_scores_are_refused(k: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 6"):
        analysis.expected_best(VALUES, k, higher_is_better=True)
