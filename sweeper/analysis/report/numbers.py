"""Every number of a report, computed once by the analysis' own functions and kept as it came out."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import pandas as pd

from sweeper import analysis, scoring
from sweeper.analysis import batch_sizes, finals, scores
from sweeper.analysis.answers import Best
from sweeper.analysis.cautions import Caution, cautions
from sweeper.analysis.claims import Claim, claims
from sweeper.analysis.curves import curves, searched_curves
from sweeper.analysis.ledger import Paid, paid
from sweeper.analysis.optuna_io import importances
from sweeper.analysis.progress import Progress, progress
from sweeper.analysis.report.resampled import Resampled, resampled
from sweeper.analysis.report.results import Results
from sweeper.analysis.searching import Independent
from sweeper.analysis.sensitivity import lr_column
from sweeper.analysis.targets import one_device, representatives, targets
from sweeper.analysis.verdict import Verdict
from sweeper.errors import NotFoundError
from sweeper.experiment import Experiment
from sweeper.records import Phase

Shares = Mapping[str, tuple[pd.DataFrame, Mapping[str, float]]]
"""The importances of each optimizer, and the settings and scores that they are made of."""


class Numbers:
    """What is computed of a sweep, each number when it is first wanted, and kept as it came out.

    Frames are as the functions of `sweeper.analysis` give them. Nothing but `summary`, `curves`,
    `searched_curves`, the targets, the `ledger` and the `cautions` reads the epochs. `before` are the numbers
    of the same sweep at an earlier moment: what was resampled then, and an optimizer's importances, are kept
    while the scores are the same.
    """

    def __init__(self, results: Results, before: "Numbers | None" = None) -> None:
        self.results = results
        self._known: Resampled | None = before.__dict__.get("resampled", before._known) if before else None
        self._shares: Shares = before.__dict__.get("_importances", before._shares) if before else {}

    @cached_property
    def progress(self) -> Progress:
        """How far the sweep is."""
        return progress(self._trials, self._experiment)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row per optimizer, the time to target among its columns."""
        return analysis.summary_of(self._trials, self.results.epochs, self._experiment)

    @cached_property
    def standing(self) -> pd.DataFrame:
        """The summary without the time to target, and so without a look at the epochs."""
        return analysis.summary_of(self._trials, None, self._experiment)

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The search's trials that statistics count, with their `score`."""
        return _scored(self._trials, self._experiment)

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict, or why there is none."""
        return analysis.verdict(self._trials, self._experiment)

    @cached_property
    def points(self) -> pd.DataFrame:
        """Finals of tuned and untuned settings: `optimizer, kind, setting, seed, state, value, accuracy`."""
        return points(self._trials, self._experiment)

    @cached_property
    def by_batch_size(self) -> pd.DataFrame:
        """The search within each batch size."""
        return batch_sizes.within_batch_size(self._trials, self._experiment)

    @cached_property
    def independent(self) -> Independent:
        """The scores of independent trials."""
        return analysis.independent_scores(self._trials, self._experiment)

    @cached_property
    def resampled(self) -> Resampled:
        """What is resampled from the independent scores."""
        known = self._known
        if known is not None and known.is_of(self.independent):
            return known
        return resampled(self.independent, scoring.higher_is_better(self._experiment.objective))

    @property
    def expected(self) -> Mapping[str, pd.DataFrame]:
        """The expected best of each optimizer, by number of trials."""
        return self.resampled.expected

    @property
    def wins(self) -> pd.DataFrame:
        """The win probabilities: a column `k` and one per optimizer."""
        return self.resampled.wins

    @cached_property
    def incumbents(self) -> pd.DataFrame:
        """The best so far after each trial."""
        return analysis.incumbents(self._trials, self._experiment)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The learning curves of the finals that represent the optimizers."""
        return curves(self._trials, self.results.epochs, self._experiment)

    @cached_property
    def searched_curves(self) -> pd.DataFrame:
        """The learning curves of each optimizer's best trial of the search so far."""
        return searched_curves(self._trials, self.results.epochs, self._experiment)

    @cached_property
    def targets(self) -> tuple[float, ...]:
        """The validation accuracies for the time to target."""
        return self._targets[0]

    @cached_property
    def targets_are_derived(self) -> bool:
        """Whether the targets come from the results themselves."""
        return self._targets[1]

    @cached_property
    def times(self) -> Mapping[tuple[float, str], pd.DataFrame]:
        """Time-to-target frames by (target, unit)."""
        return _times(self._trials, self.results.epochs, self._experiment, self.targets)

    @cached_property
    def lr(self) -> pd.DataFrame:
        """The search's scored trials with `lr`, `score` and `is_dead`."""
        return _lr(self._trials, self._experiment)

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """The good range of lr, per optimizer."""
        return self._sensitivity[0]

    @cached_property
    def lr_bins(self) -> pd.DataFrame:
        """The best score in each half-decade of lr."""
        return self._sensitivity[1]

    @cached_property
    def importances(self) -> Mapping[str, Mapping[str, float]]:
        """What each hyperparameter's share in the score's variation is, per optimizer."""
        return {name: shares for name, (_, shares) in self._importances.items()}

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """What each optimizer cost."""
        return analysis.cost_ledger(self._trials, self.results.attempts, self.results.epochs)

    @cached_property
    def paid(self) -> Paid:
        """The workers' paid time."""
        return paid(self.results.attempts)

    @cached_property
    def cautions(self) -> Sequence[Caution]:
        """What may mislead, and what to do about it."""
        return cautions(self._trials, self.results.epochs, self._experiment, self.verdict)

    @cached_property
    def claims(self) -> Sequence[Claim]:
        """The lecture's claims beside the findings."""
        return claims(self._trials, self._experiment, self.verdict)

    @cached_property
    def bests(self) -> Mapping[str, Best]:
        """Each optimizer's best setting, where it has one."""
        return _bests(self.results)

    @cached_property
    def _importances(self) -> Shares:
        found = {}
        for arm in self._experiment.arms:
            mine = self.scored[self.scored["optimizer"] == arm.name]
            made_of = mine[[name for name in mine.columns if name == "score" or name.startswith("params.")]]
            known = self._shares.get(arm.name)
            is_same = known is not None and known[0].equals(made_of)
            shares = known[1] if known and is_same else importances(self._trials, self._experiment, arm.name)
            found[arm.name] = (made_of, shares)
        return found

    @property
    def _trials(self) -> pd.DataFrame:
        return self.results.trials

    @property
    def _experiment(self) -> Experiment:
        return self.results.experiment

    @cached_property
    def _targets(self) -> tuple[tuple[float, ...], bool]:
        return targets(self._trials, self.results.epochs, self._experiment)

    @cached_property
    def _sensitivity(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return _sensitivity(self._trials, self._experiment)


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
