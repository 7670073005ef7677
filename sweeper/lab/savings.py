"""Which share of a search's epochs a pruner leaves to be trained: by simulation, as a range.

How many trials are given up depends on their ranks alone. How far a trial's rank at one rung says what it is
at the next one isn't known beforehand, so the simulations take everything from nothing to all.
"""

import numpy as np

from sweeper import pruning
from sweeper.experiment import Experiment
from sweeper.lab.forecast import Span
from sweeper.pruning import Curve, Pruner, Rules

SIMULATIONS = (20, 200)
"""So many sweeps are simulated at least and at most."""

WORK = 60_000
"""About so many decisions are taken in all simulations together."""

LONGEST = 100
"""Trials of a search that are simulated: from there on the share hardly changes."""

IMPROVES = 2.0
"""With TPE the last trials may be better than the first by up to so many standard deviations."""


def trained_share(experiment: Experiment, n_workers: int, *, seed: int = 0) -> Span:
    """The share of their epochs, in 0..1, that the search's trials are trained: the simulations' middle 99 %.

    Trial 0, which is never judged, is not among them; nor are arms with steps of their own.
    """
    rules = experiment.pruning
    if not rules.rungs:
        return Span(1.0, 1.0)
    repeats, n_proposed = experiment.search.repeats, experiment.budget.trials_per_optimizer - 1
    names = [arm.name for arm in experiment.arms if arm.steps is None]
    searches = [
        (name if repeats == 1 else f"{name}/{place}", list(range(1, n_proposed + 1))[_share(place, repeats)])
        for name in names
        for place in range(repeats)
    ]
    searches = [(name, numbers[:LONGEST]) for name, numbers in searches if numbers]
    if not searches:
        return Span(1.0, 1.0)
    n_beside = max(1, round(n_workers / len(searches)))  # the workers are spread over the arms
    n_decisions = max(len(numbers) for _, numbers in searches) * len(rules.rungs)
    searches = searches[: max(WORK // SIMULATIONS[0] // n_decisions, 1)]
    n_simulations = min(max(WORK // (n_decisions * len(searches)), SIMULATIONS[0]), SIMULATIONS[1])
    drift = IMPROVES if experiment.search.sampler == "tpe" else 0.0
    draw = np.random.default_rng(seed)
    shares = [_simulated(rules, searches, n_beside, drift, draw) for _ in range(n_simulations)]
    low, high = np.quantile(shares, [0.005, 0.995])
    return Span(float(low), float(high))


def _share(place: int, repeats: int) -> slice:
    """Those of the numbers 1, 2, ... that belong to search `place`: number modulo repeats."""
    return slice((place - 1) % repeats, None, repeats)


def _simulated(
    rules: Rules,
    searches: list[tuple[str, list[int]]],
    n_beside: int,
    drift: float,
    draw: np.random.Generator,
) -> float:
    """The share that one simulated sweep trains, with one stability of ranks for all its searches."""
    stability, improves = draw.uniform(), draw.uniform(0, drift)
    trained = 0
    for name, numbers in searches:
        pruner = pruning.make(rules, name)
        quality = np.sqrt(stability) * draw.normal(size=len(numbers))
        quality += improves * np.linspace(0, 1, len(numbers)) * (1 if rules.higher_is_better else -1)
        trained += _search(rules, pruner, numbers, quality, np.sqrt(1 - stability), n_beside, draw)
    return trained / (rules.epochs * sum(len(numbers) for _, numbers in searches))


def _search(
    rules: Rules,
    pruner: Pruner,
    numbers: list[int],
    quality: np.ndarray,
    noise: float,
    n_beside: int,
    draw: np.random.Generator,
) -> int:
    """The epochs that one search trains, `n_beside` trials at a time, each reporting at its rungs."""
    waiting = list(zip(numbers, quality, strict=True))[::-1]
    running: list[tuple[int, float, Curve]] = []
    trained = 0
    while waiting or running:
        while waiting and len(running) < n_beside:
            number, level = waiting.pop()
            running.append((number, level, {}))
        place = int(draw.integers(len(running)))
        number, level, curve = running[place]
        done = next(reversed(curve)) if curve else 0
        rung = pruning.next_rung(pruner.rungs(number), done)
        curve[rung or rules.epochs] = level + noise * float(draw.normal())
        if rung is None:
            pruner.completed(number, curve)
        if rung is None or pruner.should_prune(number, curve):
            trained += rung or rules.epochs
            running.pop(place)
    return trained
