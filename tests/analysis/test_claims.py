"""The lecture's claims beside the findings: held here, not here, or why that can't be said."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest
from finals_frames import near, sweep, untuned

from sweeper import analysis
from sweeper.analysis.claims import Claim, claims
from sweeper.analysis.decision import Decision
from sweeper.experiment import Experiment

MakeExperiment = Callable[..., Experiment]
Scores = Mapping[str, Sequence[float]]

DEFAULT = "Adam is a good default."
BEATS = "SGD with momentum can beat Adam, but needs more tuning."
MOMENTUM = "Momentum is better than plain SGD."
BAD, GOOD = near(1.8), near(1.2)


def judged(
    make_experiment: MakeExperiment,
    finals: Scores,
    *,
    search: Scores | None = None,
    defaults: Scores | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Claim]:
    """The claims on a sweep with these finals, search scores and finals of untuned settings."""
    arms = [f"optimizers.{name}={{}}" for name in finals]
    used = defaults or {}
    experiment = make_experiment(
        *arms, "final.top_k=1", f"final.untuned={str(bool(used)).lower()}", *settings
    )
    frame = sweep(search or {name: (1.5, 1.6) for name in finals}, finals)
    if used:
        frame = pd.concat([frame, untuned(used)], ignore_index=True)
    found = claims(frame, experiment, analysis.verdict(frame, experiment))
    return {one.claim: one for one in found}


# --- one rule against another -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("momentum", "holds", "decision"),
    [
        (GOOD, True, Decision.BETTER),
        (near(2.2), False, Decision.WORSE),
        (near(1.805), None, Decision.UNDECIDED),
    ],
)
def test_a_claim_goes_by_the_decision_alone(
    make_experiment: MakeExperiment, momentum: Sequence[float], holds: bool | None, decision: Decision
) -> None:
    found = judged(make_experiment, {"sgd": BAD, "momentum": momentum})[MOMENTUM]
    assert found == Claim(MOMENTUM, f"momentum against sgd: {decision}.", holds)


def test_only_claims_about_the_optimizers_of_the_sweep_are_made(make_experiment: MakeExperiment) -> None:
    assert list(judged(make_experiment, {"sgd": BAD, "momentum": GOOD})) == [MOMENTUM]
    names = list(
        judged(make_experiment, {"adagrad": BAD, "rmsprop": GOOD, "random_search": BAD, "sgd": GOOD})
    )
    assert names == [
        "AdaGrad's steps die out; RMSProp, which forgets, does better.",
        "Random search is a foolish decision: following the slope is better.",
    ]


def test_without_fresh_seeds_no_claim_is_judged(make_experiment: MakeExperiment) -> None:
    nothing: Scores = {"sgd": [], "momentum": [], "adam": []}
    found = judged(make_experiment, nothing)
    assert {one.holds for one in found.values()} == {None}
    assert found[MOMENTUM].finding == "momentum and sgd were not compared on fresh seeds."
    assert found[DEFAULT].finding.startswith(
        "No fresh seeds to judge by. No verdict yet: waiting for 30 of 30"
    )


# --- adam as a default ------------------------------------------------------------------------------------


def test_adam_is_a_good_default_where_untuned_it_beats_others(make_experiment: MakeExperiment) -> None:
    finals = {"sgd": BAD, "adam": GOOD, "rmsprop": GOOD}
    found = judged(make_experiment, finals, defaults={"sgd": BAD, "adam": GOOD, "rmsprop": near(1.201)})
    assert found[DEFAULT] == Claim(
        DEFAULT, "Untuned, adam against the others untuned: sgd: better, rmsprop: undecided.", True
    )


def test_adam_is_none_where_another_untuned_rule_beats_it(make_experiment: MakeExperiment) -> None:
    finals = {"sgd": BAD, "adam": GOOD, "rmsprop": GOOD}
    defaults = {"sgd": near(2.2), "adam": BAD, "rmsprop": GOOD}
    assert judged(make_experiment, finals, defaults=defaults)[DEFAULT].holds is False


def test_to_beat_random_search_makes_no_good_default(make_experiment: MakeExperiment) -> None:
    finals = {"adam": GOOD, "random_search": BAD, "sgd": GOOD}
    defaults = {"adam": GOOD, "random_search": BAD, "sgd": GOOD}
    found = judged(make_experiment, finals, defaults=defaults)[DEFAULT]
    assert "random_search" not in found.finding
    assert found.holds is None
    pair = {"adam": GOOD, "random_search": BAD}
    assert DEFAULT not in judged(make_experiment, pair, defaults=pair)


def test_without_finals_of_untuned_settings_nothing_is_said_of_defaults(
    make_experiment: MakeExperiment,
) -> None:
    found = judged(make_experiment, {"sgd": BAD, "adam": GOOD})[DEFAULT]
    assert found == Claim(DEFAULT, "No finals of untuned settings to compare (`final.untuned`).", None)


# --- momentum against adam --------------------------------------------------------------------------------


def test_momentum_that_beats_adam_after_more_tries_is_as_the_lecture_says(
    make_experiment: MakeExperiment,
) -> None:
    finals = {"momentum": GOOD, "adam": BAD}
    hard = {"momentum": (2.2, 2.2, 2.2, 1.1), "adam": (1.5, 1.5, 1.5, 1.5)}
    budget = ["budget.trials_per_optimizer=5"]
    found = judged(make_experiment, finals, search=hard, settings=budget)[BEATS]
    assert found.finding == (
        "Tuned, momentum against adam: better. "
        "To expect what both reach, momentum takes 3 random trials, adam 1."
    )
    assert found.holds is True
    easy = {"momentum": (1.1, 1.1, 1.1, 1.1), "adam": (1.5, 1.5, 1.5, 2.2)}
    assert judged(make_experiment, finals, search=easy, settings=budget)[BEATS].holds is False


def test_momentum_that_loses_to_adam_cannot_beat_it_here(make_experiment: MakeExperiment) -> None:
    assert judged(make_experiment, {"momentum": BAD, "adam": GOOD})[BEATS].holds is False


def test_how_many_tries_is_left_open_where_no_trials_are_independent(make_experiment: MakeExperiment) -> None:
    found = judged(make_experiment, {"momentum": GOOD, "adam": BAD}, settings=["search.sampler=grid"])[BEATS]
    assert found.finding == "Tuned, momentum against adam: better. How many tries each takes is not known."
    assert found.holds is None
