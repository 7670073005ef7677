import math

import numpy as np
import pytest

from sweeper import scoring

LN_10 = 2.302585092994046


@pytest.mark.parametrize(
    ("objective", "is_higher"), [("val_loss", False), ("train_loss", False), ("val_accuracy", True)]
)
def test_only_an_accuracy_is_better_where_it_is_higher(objective: str, is_higher: bool) -> None:
    assert scoring.higher_is_better(objective) is is_higher


@pytest.mark.parametrize(
    ("objective", "loss", "n_classes", "level"),
    [
        ("val_loss", "cross_entropy", 10, LN_10),
        ("train_loss", "cross_entropy", 10, LN_10),
        ("val_loss", "cross_entropy", 100, 2 * LN_10),
        ("val_loss", "hinge", 10, 9),
        ("train_loss", "hinge", 10, 9),
        ("val_accuracy", "cross_entropy", 10, 0.1),
        ("val_accuracy", "hinge", 100, 0.01),
    ],
)
def test_chance_level_is_what_a_model_reaches_that_knows_nothing(
    objective: str, loss: str, n_classes: int, level: float
) -> None:
    assert scoring.chance_level(objective, loss, n_classes) == pytest.approx(level)


@pytest.mark.parametrize("value", [2.31, 1e14, math.inf, -math.inf, math.nan, None])
def test_a_loss_that_is_no_better_than_chance_counts_as_chance(value: float | None) -> None:
    assert scoring.score(value, "val_loss", "cross_entropy", 10) == pytest.approx(LN_10)


@pytest.mark.parametrize("value", [9.01, 1e14, math.nan, None])
def test_a_hinge_loss_that_is_no_better_than_chance_counts_as_nine(value: float | None) -> None:
    assert scoring.score(value, "val_loss", "hinge", 10) == 9


@pytest.mark.parametrize("value", [0.0, 0.0999, -math.inf, math.inf, math.nan, None])
def test_an_accuracy_that_is_no_better_than_chance_counts_as_chance(value: float | None) -> None:
    assert scoring.score(value, "val_accuracy", "cross_entropy", 10) == 0.1


@pytest.mark.parametrize(
    ("value", "objective"),
    [(2.3, "val_loss"), (0.0, "val_loss"), (0.11, "val_accuracy"), (1.0, "val_accuracy")],
)
def test_a_value_better_than_chance_is_its_own_score(value: float, objective: str) -> None:
    assert scoring.score(value, objective, "cross_entropy", 10) == value


def test_dead_settings_tie() -> None:
    found = scoring.scores([None, math.nan, 5.0, math.inf], "val_loss", "cross_entropy", 10)
    assert len(set(found.tolist())) == 1


def test_scores_keep_the_order_and_leave_the_raw_values_alone() -> None:
    raw = np.array([1.0, np.nan, 3.0])
    np.testing.assert_allclose(scoring.scores(raw, "val_loss", "cross_entropy", 10), [1.0, LN_10, LN_10])
    np.testing.assert_array_equal(raw, [1.0, np.nan, 3.0])


def test_no_values_have_no_scores() -> None:
    assert scoring.scores([], "val_loss", "cross_entropy", 10).shape == (0,)


@pytest.mark.parametrize(
    ("n_classes", "n_images", "expected"),
    [
        (10, 10_000, 0.109),  # 0.1 + 3 * sqrt(0.1 * 0.9 / 10,000) = 0.1 + 3 * 0.003
        (10, 900, 0.13),  # 0.1 + 3 * sqrt(0.09 / 900) = 0.1 + 3 * 0.01
        (100, 9_900, 0.013),  # 0.01 + 3 * sqrt(0.01 * 0.99 / 9,900) = 0.01 + 3 * 0.001
    ],
)
def test_a_dead_accuracy_lies_three_standard_errors_above_chance(
    n_classes: int, n_images: int, expected: float
) -> None:
    assert scoring.dead_accuracy(n_classes, n_images) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 230.1])
def test_a_trial_has_diverged_at_a_loss_that_is_not_finite_or_above_a_hundred_times_the_first(
    loss: float,
) -> None:
    assert scoring.has_diverged((loss, 1.0), 2.3)
    assert scoring.has_diverged((1.0, loss), 2.3)


@pytest.mark.parametrize("losses", [(2.0, 2.1), (200.0, 200.0), (2.0, None), ()])
def test_a_trial_with_finite_losses_below_the_bound_has_not_diverged(
    losses: tuple[float | None, ...],
) -> None:
    assert not scoring.has_diverged(losses, 2.3)


def test_exactly_a_hundred_times_the_starting_loss_has_not_diverged() -> None:
    assert not scoring.has_diverged((200.0, None), 2.0)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 0.0, 0.05, 0.3, 2.2, 9.5, 1e14])
@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
@pytest.mark.parametrize("n_classes", [10, None])
def test_one_score_is_that_of_many(value: float | None, objective: str, n_classes: int | None) -> None:
    one = scoring.score(value, objective, "cross_entropy", n_classes)
    (of_many,) = scoring.scores([value], objective, "cross_entropy", n_classes)
    assert one == of_many or (math.isnan(one) and math.isnan(of_many))
