"""Every decision of a pruner is the one that Optuna's own pruner takes on the same curves."""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.trial import Trial, create_trial

from sweeper import pruning
from sweeper.pruning import Curve, Rules

SEARCH = "sweep/adam"
N_TRIALS = 40


def rules(pruner: str, **changed: int) -> Rules:
    known = {"epochs": 9, "min_epochs": 3, "reduction_factor": 3, "eval_every": 1}
    return Rules(pruner, higher_is_better=False, **{**known, **changed})


Values = Callable[[np.random.Generator, int], list[float]]


def losses(draw: np.random.Generator, n: int) -> list[float]:
    """Falling, and noisy."""
    level, speed = draw.uniform(0.3, 2.3), draw.uniform(0, 1)
    return [level + math.exp(-speed * epoch) + float(draw.normal(0, 0.1)) for epoch in range(n)]


def accuracies(draw: np.random.Generator, n: int) -> list[float]:
    """Shares of 20 images: many ties."""
    return [int(draw.integers(2, 15)) / 20 for _ in range(n)]


def often_broken(draw: np.random.Generator, n: int) -> list[float]:
    """Dead ones tie at chance level; some are NaN now and then, some always."""
    kind = draw.integers(4)
    if kind == 0:
        return [2.303] * n
    if kind == 1:
        return [math.nan] * n
    return [math.nan if draw.random() < 0.1 else value for value in losses(draw, n)]


def endless(draw: np.random.Generator, n: int) -> list[float]:
    """Now and then infinite."""
    return [math.inf if draw.random() < 0.1 else value for value in losses(draw, n)]


def evaluated_epochs(draw: np.random.Generator, rules: Rules, *, skips: bool) -> list[int]:
    """The epochs that a trial reports before its last one."""
    epochs = [epoch for epoch in range(1, rules.epochs) if epoch % rules.eval_every == 0]
    return [epoch for epoch in epochs if not skips or draw.random() < 0.5]


def interleaved(
    curves: Mapping[int, Curve], n_workers: int, draw: np.random.Generator
) -> Generator[int, bool, None]:
    """Which trial reports next, as workers that run beside each other would; each begins with the next one.

    Send it True where the trial is over.
    """
    waiting = list(curves)
    running: list[int] = []
    while waiting or running:
        while waiting and len(running) < n_workers:
            running.append(waiting.pop(0))
        number = running[draw.integers(len(running))]
        if (yield number):
            running.remove(number)


class Optuna:
    """The same trials in a study: ask, report, should_prune, tell."""

    def __init__(self, pruner: BasePruner, rules: Rules) -> None:
        directions = optuna.study.StudyDirection
        direction = directions.MAXIMIZE if rules.higher_is_better else directions.MINIMIZE
        sampler = optuna.samplers.RandomSampler(0)
        self.study = optuna.create_study(
            study_name=SEARCH, direction=direction, pruner=pruner, sampler=sampler
        )
        # Trial 0, the untuned setting, stays out of the search; it keeps its number.
        self.study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL))
        self._trials: dict[int, Trial] = {}

    def should_prune(self, number: int, epoch: int, value: float) -> bool:
        trial = self.trial(number)
        trial.report(value, epoch)
        return trial.should_prune()

    def trial(self, number: int) -> Trial:
        while number not in self._trials:
            trial = self.study.ask()
            self._trials[trial.number] = trial
        return self._trials[number]

    def end(self, number: int, epoch: int, value: float | None) -> None:
        """Complete with `value`; pruned where that is None, failed where it is NaN."""
        if value is None:
            self.study.tell(self.trial(number), state=optuna.trial.TrialState.PRUNED)
        elif math.isnan(value):
            self.study.tell(self.trial(number), state=optuna.trial.TrialState.FAIL)
        else:
            self.trial(number).report(value, epoch)
            self.study.tell(self.trial(number), value)


def optunas(rules: Rules) -> BasePruner:
    if rules.pruner == "asha":
        return SuccessiveHalvingPruner(min_resource=rules.min_epochs, reduction_factor=rules.reduction_factor)
    if rules.pruner == "hyperband":
        return HyperbandPruner(rules.min_epochs, rules.epochs, rules.reduction_factor)
    return MedianPruner(n_startup_trials=5, n_warmup_steps=rules.min_epochs)


def compare_decisions(rules: Rules, values: Values, seed: int, *, skips: bool = False) -> int:
    """Run the same trials through both and compare each decision; how many were to prune."""
    draw = np.random.default_rng(seed)
    curves: dict[int, Curve] = {}
    for number in range(1, N_TRIALS + 1):
        epochs = [*evaluated_epochs(draw, rules, skips=skips), rules.epochs]
        curves[number] = dict(zip(epochs, values(draw, len(epochs)), strict=True))
    ours, theirs = pruning.make(rules, SEARCH), Optuna(optunas(rules), rules)
    seen: dict[int, Curve] = {number: {} for number in curves}
    n_pruned = 0
    events = interleaved(curves, n_workers=int(draw.integers(1, 9)), draw=draw)
    number = next(events)
    while True:
        theirs.trial(number)
        curve = seen[number]
        epoch, value = list(curves[number].items())[len(curve)]
        curve[epoch] = value
        is_over = epoch == rules.epochs
        if is_over:
            theirs.end(number, epoch, value)
            if not math.isnan(value):
                ours.completed(number, curve)
        else:
            decision = theirs.should_prune(number, epoch, value)
            assert ours.should_prune(number, dict(curve)) == decision, f"trial {number}, epoch {epoch}"
            if decision:
                theirs.end(number, epoch, None)
            is_over, n_pruned = decision, n_pruned + decision
        try:
            number = events.send(is_over)
        except StopIteration:
            return n_pruned


SHAPES = [
    {},
    {"epochs": 20, "min_epochs": 1, "reduction_factor": 2},
    {"epochs": 27, "min_epochs": 1},
    {"epochs": 10, "min_epochs": 4, "reduction_factor": 4},
    {"epochs": 12, "min_epochs": 1, "reduction_factor": 2, "eval_every": 3},
]


# Optuna's median pruner warns where a trial, or all trials at an epoch, are NaN throughout.
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
@pytest.mark.parametrize("values", [losses, accuracies, often_broken], ids=lambda v: v.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_each_decision_is_optunas(pruner: str, shape: dict[str, int], values: Values) -> None:
    known = rules(pruner, **shape)
    judged = replace(known, higher_is_better=values is accuracies)
    assert compare_decisions(judged, values, seed=1) > 0


@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_each_decision_on_infinite_losses_is_optunas(pruner: str) -> None:
    assert compare_decisions(rules(pruner, min_epochs=1), endless, seed=2) > 0


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_each_decision_on_curves_that_skip_epochs_is_optunas(pruner: str) -> None:
    # A step may cost several epochs, and then there is one record of them.
    assert compare_decisions(rules(pruner, epochs=27, min_epochs=1), losses, seed=3, skips=True) > 0


def test_the_best_accuracies_survive_where_higher_is_better() -> None:
    pruner = pruning.make(replace(rules("asha"), higher_is_better=True), SEARCH)
    assert not pruner.should_prune(1, {3: 0.4})
    assert pruner.should_prune(2, {3: 0.3})
    assert not pruner.should_prune(3, {3: 0.5})


def test_a_rung_that_was_passed_is_not_judged_again() -> None:
    for name in ("asha", "hyperband", "median"):
        pruner = pruning.make(rules(name, min_epochs=1), SEARCH)
        for number in range(1, 30):
            curve = {epoch: 0.1 for epoch in range(1, 9)}
            pruner.passed(number, curve)
            pruner.completed(number, curve)
        bad = {epoch: 9.0 for epoch in range(1, 4)}
        assert pruner.should_prune(31, dict(bad)), name
        pruner.passed(32, dict(bad))
        assert not pruner.should_prune(32, dict(bad)), name


@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_a_pruner_that_is_told_what_passed_decides_as_the_one_that_decided_it(pruner: str) -> None:
    # After an interruption the rungs are filled from the store.
    draw = np.random.default_rng(5)
    known = rules(pruner, epochs=27, min_epochs=1)
    first, restored = pruning.make(known, SEARCH), pruning.make(known, SEARCH)
    for number in range(1, 41):
        curve: Curve = {}
        for epoch, value in enumerate(losses(draw, 26), start=1):
            curve[epoch] = value
            if first.should_prune(number, dict(curve)):
                break
        restored.passed(number, curve)
    for number in range(41, 81):
        curve = dict(enumerate(losses(draw, 26), start=1))
        assert first.should_prune(number, dict(curve)) == restored.should_prune(number, dict(curve))


def test_a_trial_is_judged_by_its_first_value_from_the_rung_on_however_far_the_stretch_went() -> None:
    pruner = pruning.make(rules("asha"), SEARCH)
    assert not pruner.should_prune(1, {3: 1.0})
    assert pruner.should_prune(2, {3: 2.0, 4: 0.1})


def test_rungs_lie_where_trials_are_evaluated_and_never_at_the_end() -> None:
    assert rules("asha").rungs == (3,)
    assert rules("asha", epochs=28, min_epochs=1).rungs == (1, 3, 9, 27)
    assert rules("asha", epochs=27, min_epochs=1, eval_every=2).rungs == (2, 4, 10)
    assert rules("asha", epochs=10, min_epochs=9, eval_every=2).rungs == ()
    assert rules("median", epochs=6, min_epochs=2, eval_every=2).rungs == (2, 4)
    assert rules("none").rungs == ()
    assert pruning.make(rules("asha", eval_every=2), SEARCH).rungs(1) == (4,)


def test_the_first_rung_is_a_quarter_of_the_epochs_rounded_up() -> None:
    assert [pruning.quarter(epochs) for epochs in (1, 4, 9, 10)] == [1, 1, 3, 3]


def test_hyperbands_brackets_begin_one_rung_later_each() -> None:
    known = rules("hyperband", epochs=27, min_epochs=1)
    assert known.brackets() == [(1, 3, 9), (3, 9), (9,), ()]
    pruner = pruning.make(known, SEARCH)
    assert {pruner.rungs(number) for number in range(1, 200)} == set(known.brackets())


def test_the_next_rung_is_the_first_one_ahead() -> None:
    assert [pruning.next_rung((1, 3, 9), epoch) for epoch in (0, 1, 2, 9)] == [1, 3, 3, None]


def test_asha_saves_120_of_the_288_epochs_of_thirty_two_trials() -> None:
    draw = np.random.default_rng(7)
    pruner = pruning.make(rules("asha"), SEARCH)
    curves = {number: dict(enumerate(losses(draw, 9), start=1)) for number in range(1, 33)}
    seen: dict[int, Curve] = {number: {} for number in curves}
    events = interleaved(curves, n_workers=4, draw=draw)
    number = next(events)
    while True:
        curve = seen[number]
        curve[len(curve) + 1] = curves[number][len(curve) + 1]
        is_over = len(curve) == 9 or pruner.should_prune(number, dict(curve))
        try:
            number = events.send(is_over)
        except StopIteration:
            break
    assert sum(len(curve) for curve in seen.values()) == 168  # of 288
