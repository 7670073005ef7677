import math
import random
import re
from typing import Any

import pytest

from sweeper import space
from sweeper.space import Choice, Fixed, Range

RHO = Range(0.0, 0.99, "one_minus_log")
BETA2 = Range(0.5, 0.9999, "one_minus_log")
LR = Range(1e-4, 1.0, "log")


# --- parse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("lr", 0.1, Fixed(0.1)),
        ("lr", 1, Fixed(1)),
        ("weight_decay", 0, Fixed(0)),
        ("momentum", 0.0, Fixed(0.0)),
        ("batch_size", 64, Fixed(64)),
        ("schedule", "cosine", Fixed("cosine")),
        ("init", "xavier", Fixed("xavier")),
    ],
)
def test_a_single_value_is_fixed(name: str, raw: Any, expected: Fixed) -> None:
    assert space.parse(name, raw) == expected


def test_a_list_is_a_choice_in_its_own_order() -> None:
    assert space.parse("batch_size", [128, 32, 64]) == Choice((128, 32, 64))


def test_a_list_of_one_value_is_fixed() -> None:
    assert space.parse("schedule", ["constant"]) == Fixed("constant")


def test_a_table_is_a_range() -> None:
    assert space.parse("lr", {"low": 1e-4, "high": 1.0, "scale": "log"}) == LR


def test_a_range_without_a_scale_is_linear() -> None:
    assert space.parse("momentum", {"low": 0.5, "high": 0.9}) == Range(0.5, 0.9, "linear")


def test_a_range_of_a_whole_number_hyperparameter_is_of_whole_numbers() -> None:
    assert space.parse("batch_size", {"low": 16, "high": 128, "scale": "log"}) == Range(
        16, 128, "log", integer=True
    )


def test_a_one_minus_log_range_may_begin_at_zero() -> None:
    assert space.parse("beta1", {"low": 0.0, "high": 0.99, "scale": "one_minus_log"}) == RHO


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("lr", 0, "a number above 0, at most 1e100"),
        ("lr", -0.1, "a number above 0, at most 1e100"),
        ("lr", math.inf, "a number above 0, at most 1e100"),
        ("lr", math.nan, "a number above 0, at most 1e100"),
        ("lr", "0.1", "a number above 0, at most 1e100"),
        ("lr", True, "a number above 0, at most 1e100"),
        ("eps", 0.0, "a number above 0, at most 1e100"),
        ("momentum", 1.0, "a number from 0 to below 1"),
        ("momentum", -0.1, "a number from 0 to below 1"),
        ("beta2", math.nan, "a number from 0 to below 1"),
        ("weight_decay", -1e-4, "a number from 0 to 1e100"),
        ("weight_decay", math.inf, "a number from 0 to 1e100"),
        ("batch_size", 0, "a whole number from 1 to 1,000,000,000"),
        ("batch_size", 64.0, "a whole number from 1 to 1,000,000,000"),
        ("batch_size", True, "a whole number from 1 to 1,000,000,000"),
        ("schedule", "cosinus", "one of constant, cosine, linear, step"),
        ("schedule", 1, "one of constant, cosine, linear, step"),
        ("sampling", "", "one of shuffle, replacement"),
        ("init", "zeros", "one of kaiming, xavier, normal"),
        ("lr", [], "at least one"),
        ("lr", [0.1, -0.1], "each value of the list must be a number above 0, at most 1e100"),
        ("lr", [[0.1]], "each value of the list must be a number above 0, at most 1e100"),
        ("batch_size", [64, 128, 64], "stands twice"),
        ("weight_decay", [0, 0.0], "stands twice"),
        ("schedule", {"low": 0, "high": 1}, "a name has no range"),
        ("lr", {"low": 0.1}, "{ low, high, scale }"),
        ("lr", {"high": 0.1}, "{ low, high, scale }"),
        ("lr", {}, "{ low, high, scale }"),
        ("lr", {"low": 0.1, "high": 0.2, "step": 0.1}, "{ low, high, scale }"),
        ("lr", {"low": 0, "high": 0.1}, "low and high must each be a number above 0, at most 1e100"),
        ("lr", {"low": "0.1", "high": 0.2}, "low and high must each be a number above 0, at most 1e100"),
        ("momentum", {"low": 0.0, "high": 1.0}, "low and high must each be a number from 0 to below 1"),
        (
            "batch_size",
            {"low": 16, "high": 64.0},
            "low and high must each be a whole number from 1 to 1,000,000,000",
        ),
        (
            "lr",
            {"low": 0.1, "high": 0.2, "scale": "Log"},
            "scale must be one of linear, log, one_minus_log",
        ),
        ("lr", {"low": 0.1, "high": 0.2, "scale": 10}, "scale must be one of linear, log, one_minus_log"),
        (
            "lr",
            {"low": 0.1, "high": 0.2, "scale": ["log"]},
            "scale must be one of linear, log, one_minus_log",
        ),
        ("lr", {"low": 0.2, "high": 0.1}, "low must be below high"),
        ("lr", {"low": 0.1, "high": 0.1}, "low must be below high"),
        ("weight_decay", {"low": 0.0, "high": 0.1, "scale": "log"}, "a log scale needs a low above 0"),
        ("momentum", {"low": 0.0, "high": 0.9, "scale": "log"}, "a log scale needs a low above 0"),
        ("lr", {"low": 0.1, "high": 1.0, "scale": "one_minus_log"}, "needs a high below 1"),
        ("batch_size", {"low": 1, "high": 2, "scale": "one_minus_log"}, "needs a high below 1"),
    ],
)
def test_what_is_not_legal_is_refused_with_what_would_be(name: str, raw: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        space.parse(name, raw)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("lr", 0.1),
        ("batch_size", [64, 128]),
        ("lr", {"low": 1e-4, "high": 1.0, "scale": "log"}),
        ("momentum", {"low": 0.0, "high": 0.99, "scale": "one_minus_log"}),
        ("batch_size", {"low": 16, "high": 128, "scale": "linear"}),
    ],
)
def test_the_notation_of_a_dimension_is_what_was_parsed(name: str, raw: Any) -> None:
    assert space.parse(name, raw).notation() == raw


# --- encode and decode -----------------------------------------------------------------------------------


def test_a_proposal_calls_a_mirrored_range_by_one_minus_its_name() -> None:
    assert space.proposal_name("momentum", RHO) == "one_minus_momentum"


@pytest.mark.parametrize("dimension", [LR, Range(0.1, 0.9), Choice((1, 2)), Fixed(0.1)])
def test_a_proposal_calls_every_other_dimension_by_its_own_name(dimension: space.Dimension) -> None:
    assert space.proposal_name("lr", dimension) == "lr"


def test_decoding_a_mirrored_proposal_gives_one_minus_it() -> None:
    assert space.decode({"momentum": RHO}, {"one_minus_momentum": 0.25}) == {"momentum": 0.75}


def test_encoding_a_value_of_a_mirrored_range_gives_one_minus_it() -> None:
    assert space.encode({"momentum": RHO}, {"momentum": 0.75}) == {"one_minus_momentum": 0.25}


def test_a_fixed_dimension_is_not_proposed_but_decoded() -> None:
    fixed = {"lr": Fixed(0.1), "schedule": Fixed("constant")}
    assert space.encode(fixed, {"lr": 0.1, "schedule": "constant"}) == {}
    assert space.decode(fixed, {}) == {"lr": 0.1, "schedule": "constant"}


def test_a_choice_and_a_log_range_are_proposed_as_they_are() -> None:
    mixed = {"batch_size": Choice((64, 128)), "lr": LR}
    assert space.encode(mixed, {"batch_size": 128, "lr": 0.01}) == {"batch_size": 128, "lr": 0.01}
    assert space.decode(mixed, {"batch_size": 128, "lr": 0.01}) == {"batch_size": 128, "lr": 0.01}


def test_values_that_the_space_does_not_know_are_not_proposed() -> None:
    assert space.encode({"lr": LR}, {"lr": 0.01, "momentum": 0.9}) == {"lr": 0.01}


@pytest.mark.parametrize(
    "values",
    [
        {"lr": 2.0, "momentum": 0.5},
        {"lr": 0.1, "momentum": 0.995},
        {"lr": 0.1},
        {"lr": "0.1", "momentum": 0.5},
    ],
)
def test_values_outside_the_space_have_no_proposal(values: dict[str, Any]) -> None:
    assert space.encode({"lr": LR, "momentum": RHO}, values) is None


def test_a_value_other_than_the_fixed_one_has_no_proposal() -> None:
    assert space.encode({"batch_size": Fixed(64)}, {"batch_size": 128}) is None


@pytest.mark.parametrize("dimension", [RHO, BETA2, Range(0.5, 0.999, "one_minus_log")])
def test_every_mirrored_proposal_decodes_into_the_range_and_back(dimension: Range) -> None:
    mirrored = {"beta2": dimension}
    draw = random.Random(0)
    lowest, highest = 1 - dimension.high, 1 - dimension.low
    for _ in range(2_000):
        proposed = math.exp(draw.uniform(math.log(lowest), math.log(highest)))
        value = space.decode(mirrored, {"one_minus_beta2": proposed})["beta2"]
        assert dimension.low <= float(value) <= dimension.high
        assert float(value) == pytest.approx(1 - proposed, abs=1e-15)
        encoded = space.encode(mirrored, {"beta2": value})
        assert encoded is not None
        assert encoded["one_minus_beta2"] == pytest.approx(proposed, abs=1e-15)


def test_every_value_of_a_mirrored_range_encodes_into_its_bounds_and_back() -> None:
    draw = random.Random(1)
    for _ in range(2_000):
        low = draw.uniform(0, 0.9)
        high = draw.uniform(low + 1e-3, 0.9999)
        mirrored = {"beta1": Range(low, high, "one_minus_log")}
        for value in (low, high, draw.uniform(low, high)):
            encoded = space.encode(mirrored, {"beta1": value})
            assert encoded is not None
            assert 1 - high <= float(encoded["one_minus_beta1"]) <= 1 - low
            assert space.decode(mirrored, encoded)["beta1"] == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("bound", ["low", "high"])
def test_the_mirrored_proposal_at_a_bound_decodes_to_exactly_that_bound(bound: str) -> None:
    draw = random.Random(2)
    for _ in range(2_000):
        low = draw.uniform(0, 0.9)
        dimension = Range(low, draw.uniform(low + 1e-3, 0.9999), "one_minus_log")
        end = getattr(dimension, bound)
        value = float(space.decode({"decay": dimension}, {"one_minus_decay": 1 - end})["decay"])
        assert value == pytest.approx(end, abs=1e-15)
        assert dimension.low <= value <= dimension.high


# --- contains and lower_middle ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimension", "value", "lies_in"),
    [
        (LR, 1e-4, True),
        (LR, 1.0, True),
        (LR, 0.99e-4, False),
        (LR, 1.01, False),
        (LR, "constant", False),
        (Choice((64, 128)), 128, True),
        (Choice((64, 128)), 96, False),
        (Fixed("cosine"), "cosine", True),
        (Fixed("cosine"), "linear", False),
    ],
)
def test_a_dimension_contains_its_values_bounds_included(
    dimension: space.Dimension, value: Any, lies_in: bool
) -> None:
    assert space.contains(dimension, value) is lies_in


@pytest.mark.parametrize(
    ("dimension", "middle"),
    [
        (Fixed(7), 7),
        (Choice((64, 128)), 64),
        (Choice((128, 64)), 64),
        (Choice((128, 32, 64)), 64),
        (Choice((256, 32, 128, 64)), 64),
        (Choice(("linear", "constant", "cosine")), "cosine"),
        (Range(0.2, 0.6), 0.4),
        (Range(1e-4, 1.0, "log"), 1e-2),
        (Range(1e-5, 1e-1, "log"), 1e-3),
        (Range(0.0, 0.99, "one_minus_log"), 0.9),
        (Range(0.5, 0.98, "one_minus_log"), 0.9),
    ],
)
def test_the_lower_middle_lies_in_the_middle_of_the_dimensions_own_scale(
    dimension: space.Dimension, middle: Any
) -> None:
    assert space.lower_middle(dimension) == (middle if isinstance(middle, str) else pytest.approx(middle))


@pytest.mark.parametrize(
    ("dimension", "middle"),
    [
        (Range(1, 2, "linear", integer=True), 1),
        (Range(16, 101, "linear", integer=True), 58),
        (Range(16, 128, "log", integer=True), 45),  # the root of 2,048 is 45.25
    ],
)
def test_the_lower_middle_of_whole_numbers_is_rounded_down(dimension: Range, middle: int) -> None:
    found = space.lower_middle(dimension)
    assert found == middle
    assert isinstance(found, int)


# --- from_unit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dimension",
    [
        LR,
        Range(0.2, 0.9),
        RHO,
        BETA2,
        Range(3, 30, integer=True),
        Range(16, 256, "log", integer=True),
        Range(1e-100, 1e100, "log"),
    ],
)
def test_the_unit_interval_spans_what_a_sampler_may_propose(dimension: Range) -> None:
    low, high = space.proposal_bounds(dimension)
    assert (space.from_unit(dimension, 0.0), space.from_unit(dimension, 1.0)) == (low, high)
    proposed = [space.from_unit(dimension, k / 997) for k in range(998)]
    assert proposed == sorted(proposed)  # type: ignore[type-var]
    assert all(isinstance(value, int) is dimension.integer for value in proposed)
    for value in proposed:
        decoded = space.decode({"x": dimension}, {space.proposal_name("x", dimension): value})
        assert space.contains(dimension, decoded["x"])


@pytest.mark.parametrize(
    "dimension",
    [
        *(LR, RHO, BETA2, Range(0.2, 0.9), Range(3, 8, integer=True), Range(2, 9, "log", integer=True)),
        Choice(("a", "b", "c")),
    ],
)
def test_uniform_numbers_become_what_optuna_draws(dimension: Choice | Range) -> None:
    from optuna.samplers import RandomSampler

    from sweeper.search.samplers import distributions

    ((name, distribution),) = distributions({"x": dimension}).items()
    sampler = RandomSampler(seed=0)
    optunas = [sampler.sample_independent(None, None, name, distribution) for _ in range(4000)]  # type: ignore[arg-type]
    ours = [space.from_unit(dimension, (k + 0.5) / 4000) for k in range(4000)]
    for value in ours[200::400]:  # both have the same share of draws up to any value
        shares = [sum(v <= value for v in drawn) / 4000 for drawn in (optunas, ours)]  # type: ignore[operator]
        assert shares[0] == pytest.approx(shares[1], abs=0.03)


def test_a_choice_gives_each_value_the_same_share_in_its_order() -> None:
    choice = Choice((128, 32, 64))
    assert [space.from_unit(choice, k / 6) for k in range(7)] == [128, 128, 32, 32, 64, 64, 64]


def test_the_middle_of_the_unit_interval_is_the_middle_of_the_scale() -> None:
    assert space.from_unit(LR, 0.5) == pytest.approx(1e-2)
    assert space.from_unit(Range(0.2, 0.4), 0.5) == pytest.approx(0.3)
    assert space.from_unit(RHO, 0.5) == pytest.approx(0.1), "1 - rho, as a sampler proposes it"
