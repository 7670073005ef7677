"""Gives trials up that do worse than others of their search: the same decisions as Optuna's pruners.

Pure code on curves in memory. Optuna's own pruners read every running trial from its storage at each decision
(`SuccessiveHalvingPruner`, `HyperbandPruner`, `MedianPruner` of Optuna 5); a test compares each decision.

A *rung* is an epoch after which a trial is judged against the others of its search, those of one optimizer.
A trial that has passed a rung is not judged there again, whatever attempt trains it. The last epoch is no
rung: a trial that gets there is complete. Sources: Li et al., "A System for Massively Parallel Hyperparameter
Tuning" (2020; asha); Li et al., "Hyperband" (2018); Golovin et al., "Google Vizier" (2017; median).
"""

import binascii
import bisect
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

NAMES = ("none", "asha", "hyperband", "median")

Curve = dict[int, float]
"""A trial's objective by epoch, the latest last; only epochs that were evaluated."""

MEDIAN_STARTUP = 5
"""The median rule judges nothing before so many trials of the search are complete."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How trials are judged. `min_epochs` is the first rung, `epochs` a whole trial."""

    pruner: str
    epochs: int
    min_epochs: int
    reduction_factor: int
    eval_every: int
    higher_is_better: bool

    @property
    def rungs(self) -> tuple[int, ...]:
        """Every epoch after which some trial is judged, ascending."""
        if self.pruner == "median":
            return tuple(e for e in range(self.min_epochs, self.epochs) if e % self.eval_every == 0)
        return self.evaluated(self.bracket(0)) if self.pruner != "none" else ()

    def evaluated(self, rungs: tuple[int, ...]) -> tuple[int, ...]:
        """The first evaluated epoch at or after each of `rungs`, where a trial can be judged by it."""
        epochs = {-(-rung // self.eval_every) * self.eval_every for rung in rungs}
        return tuple(sorted(epoch for epoch in epochs if epoch < self.epochs))

    def bracket(self, rate: int) -> tuple[int, ...]:
        """The rungs of successive halving that begins `rate` rungs late: each the factor times the last."""
        rungs = []
        epoch = self.min_epochs * self.reduction_factor**rate
        while epoch < self.epochs:
            rungs.append(epoch)
            epoch *= self.reduction_factor
        return tuple(rungs)

    def brackets(self) -> list[tuple[int, ...]]:
        """Hyperband's brackets: each begins one rung later than the one before."""
        ratio = max(self.epochs / self.min_epochs, 1)
        return [self.bracket(rate) for rate in range(math.floor(math.log(ratio, self.reduction_factor)) + 1)]


def quarter(epochs: int) -> int:
    """The first rung unless the file says otherwise: a quarter of the epochs, rounded up."""
    return math.ceil(epochs / 4)


class Pruner(Protocol):
    """Judges the trials of one search, by their numbers."""

    def rungs(self, number: int) -> tuple[int, ...]:
        """The epochs after which trial `number` is judged, ascending."""
        ...

    def should_prune(self, number: int, curve: Curve) -> bool:
        """Judge the trial at every rung up to the curve's last epoch that it has not passed yet."""
        ...

    def passed(self, number: int, curve: Curve) -> None:
        """Take note of a trial that was let go on earlier: nothing up to the curve's end is judged again."""
        ...

    def completed(self, number: int, curve: Curve) -> None:
        """Take note of a trial that was trained to its end."""
        ...


class Never:
    """Prunes nothing."""

    def rungs(self, number: int) -> tuple[int, ...]:
        """None."""
        return ()

    def should_prune(self, number: int, curve: Curve) -> bool:
        """Never."""
        return False

    def passed(self, number: int, curve: Curve) -> None:
        """Nothing to note."""

    def completed(self, number: int, curve: Curve) -> None:
        """Nothing to note."""


class Halving:
    """Asynchronous successive halving: a trial goes on if it is in the top 1/factor of those at its rung.

    Where fewer than `reduction_factor` trials have been there, the best goes on. A trial that was pruned
    stays pruned, and keeps its place at the rung.
    """

    def __init__(self, rules: Rules, rate: int = 0) -> None:
        self._rules = rules
        self._values: dict[int, dict[int, float]] = {rung: {} for rung in rules.bracket(rate)}
        self._stops = rules.evaluated(tuple(self._values))

    def rungs(self, number: int) -> tuple[int, ...]:
        """The same for every trial."""
        return self._stops

    def should_prune(self, number: int, curve: Curve) -> bool:
        """Whether it is outside the top 1/factor at a rung that it has reached now."""
        for rung, values in self._values.items():
            if number in values:
                continue
            value = _first_from(rung, curve)
            if value is None:
                return False
            if math.isnan(value):
                return True
            values[number] = value
            if not self._is_in_front(value, list(values.values())):
                return True
        return False

    def passed(self, number: int, curve: Curve) -> None:
        """Give the trial its place at every rung that it reached."""
        for rung, values in self._values.items():
            value = _first_from(rung, curve)
            if value is not None and not math.isnan(value):
                values[number] = value

    def completed(self, number: int, curve: Curve) -> None:
        """Nothing to note: what counts is the rungs."""

    def _is_in_front(self, value: float, values: list[float]) -> bool:
        place = max(len(values) // self._rules.reduction_factor, 1)
        ranked = sorted(values, reverse=self._rules.higher_is_better)
        limit = ranked[place - 1]
        return value >= limit if self._rules.higher_is_better else value <= limit


class Hyperband:
    """Several runs of successive halving that begin at different rungs; a trial's number decides in which."""

    def __init__(self, rules: Rules, search: str) -> None:
        self._search = search
        n = len(rules.brackets())
        self._brackets = [Halving(rules, rate) for rate in range(n)]
        # Optuna's shares: a bracket that begins early needs more trials than one that begins late.
        self._shares = [
            math.ceil(n * rules.reduction_factor ** (n - 1 - rate) / (n - rate)) for rate in range(n)
        ]

    def rungs(self, number: int) -> tuple[int, ...]:
        """Those of the trial's bracket."""
        return self._bracket(number).rungs(number)

    def should_prune(self, number: int, curve: Curve) -> bool:
        """Judge within the trial's bracket."""
        return self._bracket(number).should_prune(number, curve)

    def passed(self, number: int, curve: Curve) -> None:
        """Take note within the trial's bracket."""
        self._bracket(number).passed(number, curve)

    def completed(self, number: int, curve: Curve) -> None:
        """Nothing to note."""

    def _bracket(self, number: int) -> Halving:
        left = binascii.crc32(f"{self._search}_{number}".encode()) % sum(self._shares)
        for bracket, share in zip(self._brackets, self._shares, strict=True):
            left -= share
            if left < 0:
                return bracket
        raise AssertionError("the shares add up to their sum")


class Median:
    """A trial goes on unless its best value so far is worse than the median of complete ones at its epoch."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._complete: dict[int, Curve] = {}
        self._judged: dict[int, int] = {}

    def rungs(self, number: int) -> tuple[int, ...]:
        """Every evaluated epoch from the first rung on."""
        return self._rules.rungs

    def should_prune(self, number: int, curve: Curve) -> bool:
        """Whether its best is worse than the median, once enough trials are complete."""
        epoch = _last_epoch(curve)
        if epoch not in self._rules.rungs or epoch <= self._judged.get(number, 0):
            return False
        if len(self._complete) < MEDIAN_STARTUP:
            return False
        self._judged[number] = epoch
        seen = [value for value in curve.values() if not math.isnan(value)]
        if not seen:
            return True
        others = [c[epoch] for c in self._complete.values() if not math.isnan(c.get(epoch, math.nan))]
        if not others:
            return False
        # Optuna's own arithmetic: of an even number of values np.median may differ in the last bit.
        median = float(np.percentile(others, 50))
        return max(seen) < median if self._rules.higher_is_better else min(seen) > median

    def passed(self, number: int, curve: Curve) -> None:
        """Remember how far the trial was let go."""
        self._judged[number] = _last_epoch(curve)

    def completed(self, number: int, curve: Curve) -> None:
        """From now on others are measured by it."""
        self._complete[number] = curve


def make(rules: Rules, search: str) -> Pruner:
    """The pruner of one search; `search` names it, which decides Hyperband's brackets."""
    if rules.pruner == "asha":
        return Halving(rules)
    if rules.pruner == "hyperband":
        return Hyperband(rules, search)
    return Median(rules) if rules.pruner == "median" else Never()


def next_rung(rungs: tuple[int, ...], epoch: int) -> int | None:
    """The first of `rungs` (ascending) after `epoch`; None where there is none."""
    place = bisect.bisect_right(rungs, epoch)
    return rungs[place] if place < len(rungs) else None


def _first_from(rung: int, curve: Curve) -> float | None:
    """The value by which the curve is judged at `rung`: that of its first epoch there or beyond."""
    return next((value for epoch, value in curve.items() if epoch >= rung), None)


def _last_epoch(curve: Curve) -> int:
    return next(reversed(curve))
