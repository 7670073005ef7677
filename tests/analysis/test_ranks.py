"""The exact tests against scipy's, where scipy has them."""

import numpy as np
import pytest
from scipy import stats

from sweeper.analysis import ranks


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 5), (10, 10), (6, 10), (12, 4)])
def test_without_ties_p_is_scipys_exact_one(n: int, m: int) -> None:
    generator = np.random.default_rng(n * m)
    for shift in (0.0, 0.5, 2.0):
        a, b = generator.normal(shift, 1, n), generator.normal(0, 1, m)
        expected = stats.mannwhitneyu(a, b, method="exact").pvalue
        assert ranks.mann_whitney_p(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5), (5, 3)])
def test_with_ties_p_is_scipys_permutation_one(n: int, m: int) -> None:
    generator = np.random.default_rng(n)
    for _ in range(4):
        a = generator.integers(1, 5, n).astype(float)
        b = generator.integers(0, 4, m).astype(float)
        expected = stats.mannwhitneyu(a, b, method=stats.PermutationMethod()).pvalue
        assert ranks.mann_whitney_p(a, b) == pytest.approx(expected, rel=1e-9)


def test_disjoint_samples_have_the_least_p_and_equal_ones_1() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 100
    least = ranks.least_p(10, 10, paired=False)
    assert ranks.mann_whitney_p(low, high) == pytest.approx(least)
    assert ranks.mann_whitney_p(high, low) == pytest.approx(least)
    assert ranks.mann_whitney_p(low, low) == 1.0
    assert ranks.mann_whitney_p(np.ones(10), np.ones(10)) == 1.0


def test_a_tiny_p_of_large_samples_is_not_rounded_to_0() -> None:
    samples = np.arange(40.0), np.arange(40.0) + 100
    assert ranks.mann_whitney_p(*samples) == pytest.approx(ranks.least_p(40, 40, paired=False))


def test_samples_too_large_to_count_have_scipys_asymptotic_p() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 20, 500).astype(float), generator.integers(1, 20, 400).astype(float)
    expected = stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    assert ranks.mann_whitney_p(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 7, 10])
def test_the_paired_p_is_scipys_permutation_of_samples(n: int) -> None:
    generator = np.random.default_rng(n)
    a, b = np.round(generator.normal(0.4, 1, n), 1), np.round(generator.normal(0, 1, n), 1)

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.sum(x - y, axis=axis))

    expected = stats.permutation_test(
        (a, b), difference, permutation_type="samples", vectorized=True, n_resamples=np.inf
    ).pvalue
    assert ranks.sign_flip_p(a, b) == pytest.approx(expected)


def test_the_paired_p_of_many_pairs_is_close_to_the_exact_one() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(0.5, 1, 20), generator.normal(0, 1, 20)
    exact = ranks.sign_flip_p(a, b)
    again = ranks.sign_flip_p(np.append(a, 0.0), np.append(b, 0.0))  # a difference of 0 changes no sum
    assert again == pytest.approx(exact, rel=0.15)
    assert ranks.sign_flip_p(np.ones(30), np.ones(30)) == 1.0
