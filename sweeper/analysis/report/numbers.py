"""Every number of a report, computed once by the analysis' own functions and kept as it came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from sweeper import analysis, scoring
from sweeper.analysis import batch_sizes, finals, scores
from sweeper.analysis.answers import Best
from sweeper.analysis.cautions import Caution, cautions
from sweeper.analysis.claims import Claim, claims
from sweeper.analysis.curves import curves
from sweeper.analysis.ledger import Paid, paid
from sweeper.analysis.optuna_io import importances
from sweeper.analysis.progress import Progress, progress
from sweeper.analysis.searching import Independent
from sweeper.analysis.sensitivity import lr_column
from sweeper.analysis.targets import one_device, representatives, targets
from sweeper.analysis.verdict import Verdict
from sweeper.errors import NotFoundError
from sweeper.experiment import Experiment
from sweeper.records import Phase, SweepState, Trial

BUDGETS = 24
"""The win probability is worked out at so many budgets at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that is known of a sweep: `planned` are its trials with their exact settings."""

    name: str
    state: SweepState
    created_at: datetime
    experiment: Experiment
    facts: Mapping[str, Any]
    store: str
    planned: Sequence[Trial]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    attempts: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """What was computed of a sweep; frames as the functions of `sweeper.analysis` give them.

    `scored` are the search's trials that statistics count, with their `score`; `points` are the finals of the
    tuned and the untuned settings: `optimizer, kind, setting, seed, state, value, accuracy`. `wins` has a
    column `k` and one per optimizer. `times` are time-to-target frames by (target, unit). `lr` are the
    search's scored trials with `lr`, `score` and `is_dead`.
    """

    progress: Progress
    summary: pd.DataFrame
    scored: pd.DataFrame
    verdict: Verdict
    points: pd.DataFrame
    by_batch_size: pd.DataFrame
    independent: Independent
    expected: Mapping[str, pd.DataFrame]
    wins: pd.DataFrame
    incumbents: pd.DataFrame
    curves: pd.DataFrame
    targets: tuple[float, ...]
    targets_are_derived: bool
    times: Mapping[tuple[float, str], pd.DataFrame]
    lr: pd.DataFrame
    sensitivity: pd.DataFrame
    lr_bins: pd.DataFrame
    importances: Mapping[str, Mapping[str, float]]
    ledger: pd.DataFrame
    paid: Paid
    cautions: Sequence[Caution]
    claims: Sequence[Claim]
    bests: Mapping[str, Best]


def numbers(results: Results) -> Numbers:
    """Everything that a report on these results shows."""
    trials, epochs, experiment = results.trials, results.epochs, results.experiment
    higher = scoring.higher_is_better(experiment.objective)
    verdict = analysis.verdict(trials, experiment)
    independent = analysis.independent_scores(trials, experiment)
    fixed, are_derived = targets(trials, epochs, experiment)
    widths, bins = _sensitivity(trials, experiment)
    return Numbers(
        progress=progress(trials, experiment),
        summary=analysis.summary_of(trials, epochs, experiment),
        scored=_scored(trials, experiment),
        verdict=verdict,
        points=points(trials, experiment),
        by_batch_size=batch_sizes.within_batch_size(trials, experiment),
        independent=independent,
        expected={
            name: analysis.expected_best(values, higher_is_better=higher)
            for name, values in independent.scores.items()
        },
        wins=_wins(independent, higher),
        incumbents=analysis.incumbents(trials, experiment),
        curves=curves(trials, epochs, experiment),
        targets=fixed,
        targets_are_derived=are_derived,
        times=_times(trials, epochs, experiment, fixed),
        lr=_lr(trials, experiment),
        sensitivity=widths,
        lr_bins=bins,
        importances={arm.name: importances(trials, experiment, arm.name) for arm in experiment.arms},
        ledger=analysis.cost_ledger(trials, results.attempts, epochs),
        paid=paid(results.attempts),
        cautions=cautions(trials, epochs, experiment, verdict),
        claims=claims(trials, experiment, verdict),
        bests=_bests(results),
    )


def points(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Every final that counts, tuned and untuned, with its test score and accuracy."""
    tuned = representatives(trials, experiment)
    scored = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    untuned = scored[scored["setting"] == finals.UNTUNED]
    tuned = scored[scored.index.isin(tuned.index)]
    both = pd.concat([tuned.assign(kind="tuned"), untuned.assign(kind="untuned")])
    return both.rename(columns={"test": "value"})[
        ["optimizer", "kind", "setting", "seed", "state", "value", "accuracy"]
    ].reset_index(drop=True)


def _wins(independent: Independent, higher: bool) -> pd.DataFrame:
    names = list(independent.scores)
    if len(names) < 2:
        return pd.DataFrame(columns=["k", *names])
    most = min(len(values) for values in independent.scores.values())
    budgets = np.unique(np.geomspace(1, most, BUDGETS).round().astype(int))
    rows = [
        {"k": int(k), **analysis.win_probability(independent.scores, int(k), higher_is_better=higher)}
        for k in budgets
    ]
    return pd.DataFrame(rows, columns=["k", *names])


def _times(
    trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment, fixed: tuple[float, ...]
) -> dict[tuple[float, str], pd.DataFrame]:
    runs = representatives(trials, experiment)
    counted = epochs.loc[epochs["phase"] == Phase.FINAL, "samples"].gt(0).all()
    units = ["epoch", *(["samples"] if counted else []), *(["seconds"] if one_device(runs) else [])]
    return {
        (target, unit): analysis.time_to_target(runs, epochs, target, unit, n_classes=experiment.n_classes)
        for target in fixed
        for unit in units
    }


def _sensitivity(trials: pd.DataFrame, experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    return analysis.lr_sensitivity(
        trials,
        objective=experiment.objective,
        loss=experiment.loss.name,
        n_classes=experiment.n_classes,
        val_size=experiment.data.val_size,
    )


def _scored(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    return scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )


def _lr(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The search's scored trials by learning rate, dead ones marked."""
    search = _scored(trials, experiment)
    dead_below = scoring.dead_accuracy(experiment.n_classes, experiment.data.val_size)
    is_dead = (search["state"] == "diverged") | (search["val_accuracy"] < dead_below)
    found = search.assign(lr=lr_column(search), is_dead=is_dead)
    return found.loc[found["lr"] > 0, ["optimizer", "number", "lr", "score", "is_dead"]]


def _bests(results: Results) -> dict[str, Best]:
    """Each optimizer's best setting, where it has one."""
    found = {}
    for arm in results.experiment.arms:
        try:
            found[arm.name] = analysis.best(
                results.name, results.trials, results.planned, results.experiment, arm.name
            )
        except NotFoundError:
            continue
    return found
