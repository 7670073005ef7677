"""What the lecture claims about the rules, beside what a sweep found: judged by decisions and counts only."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from sweeper import scoring
from sweeper.analysis import finals
from sweeper.analysis.comparison import compare
from sweeper.analysis.decision import Decision
from sweeper.analysis.searching import common_target, expected_best, independent_scores, tries_until
from sweeper.analysis.verdict import Verdict, judgeable
from sweeper.experiment import Experiment


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the lecture, what this sweep found, and whether it holds here; None: can't be said."""

    claim: str
    finding: str
    holds: bool | None


PAIRS = (
    ("momentum", "sgd", "Momentum is better than plain SGD."),
    ("nesterov", "momentum", "Looking ahead (Nesterov) is better than plain momentum."),
    ("rmsprop", "adagrad", "AdaGrad's steps die out; RMSProp, which forgets, does better."),
    ("adam", "rmsprop", "Adam is RMSProp with momentum and bias correction, and better for it."),
    ("lbfgs", "gd", "With the full batch affordable, L-BFGS is better than gradient descent."),
    ("sgd", "random_search", "Random search is a foolish decision: following the slope is better."),
)
"""Claims that one rule is better than another."""

BLIND = {"random_search", "local_search"}
"""Rules that follow no gradient."""


def claims(trials: pd.DataFrame, experiment: Experiment, verdict: Verdict) -> list[Claim]:
    """The lecture's claims about optimizers that the sweep compared."""
    names = {arm.name for arm in experiment.arms}
    found = [_better(claim, one, other, verdict) for one, other, claim in PAIRS if {one, other} <= names]
    return [
        *_good_default(trials, experiment, verdict, names),
        *_can_beat_adam(trials, experiment, verdict, names),
        *found,
    ]


def _decided(verdict: Verdict, one: str, other: str) -> Decision | None:
    """The decision on `one` against `other` in the matrix of all pairs."""
    if verdict.pairs is None:
        return None
    for _, row in verdict.pairs.iterrows():
        if (row["a"], row["b"]) == (one, other):
            return Decision(row["decision"])
        if (row["a"], row["b"]) == (other, one):
            return _turned(Decision(row["decision"]))
    return None


def _turned(decision: Decision) -> Decision:
    """The same decision seen from the other side."""
    sides = {
        Decision.BETTER: Decision.WORSE,
        Decision.HARDLY_BETTER: Decision.HARDLY_WORSE,
        Decision.WORSE: Decision.BETTER,
        Decision.HARDLY_WORSE: Decision.HARDLY_BETTER,
    }
    return sides.get(decision, decision)


def _holds(decision: Decision | None) -> bool | None:
    if decision is None:
        return None
    if decision.is_better:
        return True
    return False if decision.is_worse or decision is Decision.NO_DIFFERENCE else None


def _better(claim: str, one: str, other: str, verdict: Verdict) -> Claim:
    decision = _decided(verdict, one, other)
    if decision is None:
        return Claim(claim, f"{one} and {other} were not compared on fresh seeds.", None)
    return Claim(claim, f"{one} against {other}: {decision.value}.", _holds(decision))


def _good_default(
    trials: pd.DataFrame, experiment: Experiment, verdict: Verdict, names: set[str]
) -> Iterator[Claim]:
    """Adam's untuned setting against the other rules' untuned settings, over the finals.

    A good default is worse than no other one and better than some. Not counted as others are what doesn't
    follow a gradient, which any rule beats, and rules with a budget of their own.
    """
    others = names - {"adam"} - BLIND - {arm.name for arm in experiment.arms if arm.steps is not None}
    if "adam" not in names or not others:
        return
    claim = "Adam is a good default."
    if not verdict.is_reached:
        yield Claim(claim, f"No fresh seeds to judge by. {verdict.lines[0]}", None)
        return
    scored = judgeable(trials, experiment)
    untuned = scored[(scored["setting"] == finals.UNTUNED) & scored["optimizer"].isin(others | {"adam"})]
    tests = {str(name): group["test"].to_numpy() for name, group in untuned.groupby("optimizer", sort=False)}
    if "adam" not in tests or len(tests) < 2:
        yield Claim(claim, "No finals of untuned settings to compare (`final.untuned`).", None)
        return
    higher = scoring.higher_is_better(experiment.objective)
    against, _ = compare(tests, "adam", higher_is_better=higher)
    decisions = {str(row["optimizer"]): Decision(row["decision"]) for _, row in against.iterrows()}
    parts = ", ".join(f"{name}: {decision.value}" for name, decision in decisions.items())
    holds = None
    if any(decision.is_worse for decision in decisions.values()):
        holds = False
    elif any(decision.is_better for decision in decisions.values()):
        holds = True
    yield Claim(claim, f"Untuned, adam against the others untuned: {parts}.", holds)


def _can_beat_adam(
    trials: pd.DataFrame, experiment: Experiment, verdict: Verdict, names: set[str]
) -> Iterator[Claim]:
    """Whether tuned momentum beats tuned adam, and takes more tries."""
    if not {"momentum", "adam"} <= names:
        return
    claim = "SGD with momentum can beat Adam, but needs more tuning."
    decision = _decided(verdict, "momentum", "adam")
    if decision is None:
        yield Claim(claim, "momentum and adam were not compared on fresh seeds.", None)
        return
    finding = f"Tuned, momentum against adam: {decision.value}."
    tries = _tries(trials, experiment)
    if tries is None:
        yield Claim(claim, f"{finding} How many tries each takes is not known.", None)
        return
    finding += f" To expect what both reach, momentum takes {tries[0]} random trials, adam {tries[1]}."
    holds = _holds(decision)
    yield Claim(claim, finding, tries[0] > tries[1] if holds else holds)


def _tries(trials: pd.DataFrame, experiment: Experiment) -> tuple[int, int] | None:
    higher = scoring.higher_is_better(experiment.objective)
    known = independent_scores(trials, experiment).scores
    if not {"momentum", "adam"} <= known.keys():
        return None
    curves = {name: expected_best(known[name], higher_is_better=higher) for name in ("momentum", "adam")}
    target = common_target(curves, higher_is_better=higher)
    momentum, adam = (tries_until(curve, target, higher_is_better=higher) for curve in curves.values())
    return None if momentum is None or adam is None else (momentum, adam)
