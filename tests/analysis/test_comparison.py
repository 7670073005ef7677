"""Comparisons against closed forms and scipy, their invariances, and what the decision rule promises."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeper import analysis
from sweeper.analysis import decision
from sweeper.errors import UsageError

NAMED = ["better", "better, but hardly", "worse", "worse, but hardly"]


def samples(n_arms: int = 6, n_seeds: int = 10, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {f"arm{k}": generator.normal(1.5 * (k == 0), 1, n_seeds) for k in range(n_arms)}


# --- probability_of_improvement ---------------------------------------------------------------------------


def test_the_estimate_is_mann_whitneys_u_over_all_pairs() -> None:
    a, b = [1.0, 2.0, 2.0, 5.0], [0.5, 2.0, 3.0]
    expected = stats.mannwhitneyu(a, b).statistic / 12
    found = analysis.probability_of_improvement(a, b, higher_is_better=True)
    assert found.estimate == pytest.approx(expected)
    assert found.low <= found.estimate <= found.high


def test_a_sample_beats_itself_half_the_time_and_disjoint_ones_always_or_never() -> None:
    x = np.arange(10.0)
    same = analysis.probability_of_improvement(x, x, higher_is_better=True)
    assert (same.estimate, same.p) == (0.5, 1.0)
    ahead = analysis.probability_of_improvement(x + 100, x, higher_is_better=True)
    assert (ahead.estimate, ahead.low, ahead.high, ahead.decision) == (1.0, 1.0, 1.0, "better")
    assert analysis.probability_of_improvement(x + 100, x, higher_is_better=False).estimate == 0.0


@pytest.mark.parametrize("paired", [False, True])
def test_swapping_the_two_mirrors_everything(paired: bool) -> None:
    a, b = list(samples().values())[:2]
    one = analysis.probability_of_improvement(a, b, higher_is_better=True, paired=paired)
    other = analysis.probability_of_improvement(b, a, higher_is_better=True, paired=paired)
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (1 - other.estimate, 1 - other.high, 1 - other.low)
    )
    assert one.p == pytest.approx(other.p)
    assert (one.decision.is_better, one.decision.is_worse) == (
        other.decision.is_worse,
        other.decision.is_better,
    )


def test_the_interval_is_that_of_resampling_both_samples_naively() -> None:
    a, b = list(samples().values())[:2]
    found = analysis.probability_of_improvement(a, b, higher_is_better=True)
    generator = np.random.default_rng(1)
    drawn_a, drawn_b = generator.choice(a, (4000, 10)), generator.choice(b, (4000, 10))
    naive = (drawn_a[:, :, None] > drawn_b[:, None, :]).mean(axis=(1, 2))
    assert (found.low, found.high) == pytest.approx(np.quantile(naive, (0.025, 0.975)), abs=0.02)


def test_pairs_are_matched_by_their_place() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.9, 1.9, 2.9, 3.9])
    found = analysis.probability_of_improvement(a, b, higher_is_better=True, paired=True)
    assert (found.estimate, found.p) == (1.0, 2 / 16)
    assert analysis.probability_of_improvement(a, b, higher_is_better=True).estimate == 10 / 16


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [[1.0], [2.0]]])
def test_what_is_no_sample_is_refused(scores: list[float]) -> None:
    with pytest.raises(UsageError, match="scores of b: must be one or more finite numbers"):
        analysis.probability_of_improvement([1.0], scores, higher_is_better=True)


def test_pairs_of_unequal_numbers_and_unknown_leaders_are_refused() -> None:
    with pytest.raises(UsageError, match="2 and 1 of them; both must be of the same seeds"):
        analysis.probability_of_improvement([1.0, 2.0], [1.0], higher_is_better=True, paired=True)
    with pytest.raises(UsageError, match="leader 'sgd' has no scores; legal: arm0, arm1"):
        analysis.compare(samples(2), "sgd", higher_is_better=True)


# --- compare ----------------------------------------------------------------------------------------------


def test_the_leader_stands_against_each_and_the_pairs_are_all_pairs() -> None:
    against, pairs = analysis.compare(samples(4), "arm0", higher_is_better=True)
    assert list(against.columns) == ["optimizer", "estimate", "low", "high", "p", "decision"]
    assert list(against["optimizer"]) == ["arm1", "arm2", "arm3"]
    assert list(pairs.columns) == ["a", "b", "estimate", "low", "high", "p", "decision"]
    assert len(pairs) == 6


def test_p_is_adjusted_within_each_family() -> None:
    scores = samples(4)
    against, pairs = analysis.compare(scores, "arm0", higher_is_better=True)
    raw = [stats.mannwhitneyu(scores["arm0"], scores[f"arm{k}"], method="exact").pvalue for k in (1, 2, 3)]
    assert list(against["p"]) == pytest.approx(decision.holm(raw))
    assert (pairs["p"].iloc[:3].to_numpy() >= against["p"].to_numpy()).all()


def test_holms_adjustment_is_that_of_the_textbook() -> None:
    # Holm 1979: sorted p times 4, 3, 2, 1, never falling, at most 1.
    assert decision.holm([0.03, 0.005, 0.04, 0.9]) == pytest.approx([0.09, 0.02, 0.09, 0.9])
    assert decision.holm([0.6, 0.6]) == [1.0, 1.0]
    assert decision.holm([]) == []


@pytest.mark.parametrize("paired", [False, True])
def test_relabelling_permuting_and_a_constant_change_nothing(paired: bool) -> None:
    scores = samples(4)
    against, pairs = analysis.compare(scores, "arm0", higher_is_better=False, paired=paired)
    order = np.random.default_rng(5).permutation(10)
    changed = {f"x{name}": values[order] + 3.0 for name, values in reversed(scores.items())}
    again, _ = analysis.compare(changed, "xarm0", higher_is_better=False, paired=paired)
    again = again.iloc[::-1].assign(optimizer=lambda f: f["optimizer"].str.removeprefix("x"))
    pd.testing.assert_frame_equal(against, again.reset_index(drop=True))
    assert len(pairs) == 6


# --- the decision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "low", "high", "expected"),
    [
        (0.01, 0.60, 0.90, "better"),
        (0.01, 0.55, 0.75, "better, but hardly"),
        (0.01, 0.10, 0.40, "worse"),
        (0.01, 0.25, 0.45, "worse, but hardly"),
        (0.20, 0.30, 0.70, "no difference that matters"),
        (0.20, 0.25, 0.75, "no difference that matters"),
        (0.20, 0.30, 0.80, "undecided"),
        (0.20, 0.60, 0.90, "undecided"),
        (0.01, 0.45, 0.90, "undecided"),
        (0.05, 0.60, 0.90, "undecided"),
    ],
)
def test_the_decision_follows_from_p_and_interval(p: float, low: float, high: float, expected: str) -> None:
    assert decision.decide(p, low, high) == expected


def test_too_few_seeds_are_not_undecided() -> None:
    apart = {f"arm{k}": np.arange(4.0) + 100 * k for k in range(6)}
    against, _ = analysis.compare(apart, "arm5", higher_is_better=True)
    assert set(against["decision"]) == {"these seeds cannot decide"}
    apart = {f"arm{k}": np.arange(5.0) + 100 * k for k in range(6)}
    against, pairs = analysis.compare(apart, "arm5", higher_is_better=True)
    assert set(against["decision"]) == {"better"}
    assert set(pairs["decision"]) == {"these seeds cannot decide"}
    assert {found.value for found in analysis.Decision} > {"undecided", "no difference that matters"}


@pytest.mark.parametrize(
    ("n_comparisons", "paired", "n"), [(5, False, 5), (5, True, 8), (15, False, 6), (15, True, 10)]
)
def test_the_fewest_seeds_that_a_family_can_carry(n_comparisons: int, paired: bool, n: int) -> None:
    assert analysis.fewest_seeds(n_comparisons, paired=paired) == n


@pytest.mark.slow
def test_equal_arms_are_told_apart_in_at_most_65_of_1000_sweeps() -> None:
    generator = np.random.default_rng(0)
    alarms = 0
    for scores in generator.normal(size=(1000, 6, 10)):
        arms = {f"arm{k}": values for k, values in enumerate(scores)}
        against, _ = analysis.compare(arms, "arm0", higher_is_better=True, resamples=1000)
        alarms += bool(against["decision"].isin(NAMED).any())
    assert alarms <= 65


# --- power ------------------------------------------------------------------------------------------------


def test_two_standard_deviations_are_found_at_ten_seeds_and_always_at_29() -> None:
    assert analysis.power(10, 5, 2.0) >= 0.9
    assert analysis.power(29, 5, 2.0) == 1.0


def test_power_grows_with_seeds_and_difference_and_is_the_same_again() -> None:
    assert analysis.power(10, 5, 1.0) == pytest.approx(0.33, abs=0.05)
    assert analysis.power(4, 5, 5.0) == 0.0
    assert analysis.power(10, 5, 0.0) < 0.05
    assert analysis.power(8, 2, 1.0, simulations=20) == analysis.power(8, 2, 1.0, simulations=20)


# --- single samples ---------------------------------------------------------------------------------------


def test_the_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    assert analysis.iqm([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1e9]) == 3.5
    low, high = analysis.bootstrap_interval(np.arange(100.0))
    assert low < analysis.iqm(np.arange(100.0)) < high
    shuffled = np.random.default_rng(0).permutation(np.arange(100.0))
    assert analysis.bootstrap_interval(shuffled) == (low, high)


def test_the_bootstrap_interval_of_a_large_sample_is_the_normal_one() -> None:
    x = np.random.default_rng(0).normal(size=400)
    low, high = analysis.bootstrap_interval(x, resamples=4000)
    # The trimmed mean's standard error by winsorizing (Tukey and McLaughlin 1963).
    winsorized = np.asarray(stats.mstats.winsorize(x, limits=(0.25, 0.25)))
    error = winsorized.std(ddof=1) / (0.5 * np.sqrt(len(x)))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
