"""The verdict: the search's leader against each of the others, on fresh seeds and test images, in words."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweeper import scoring
from sweeper.analysis import finals, notebook, scores, sentences
from sweeper.analysis.comparison import compare
from sweeper.analysis.progress import progress
from sweeper.analysis.searching import independent_scores, win_probability
from sweeper.experiment import Experiment
from sweeper.records import Origin, Phase, TrialState


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What a sweep came to.

    `leader` is the optimizer with the best objective in the search, fixed before the finals. `against` has a
    row for each other one: `optimizer, estimate, low, high, p, decision` as in `compare`, the leader's mean
    less its own as `loss_difference` and, in percent, as `accuracy_points`, and the number of its finals `n`.
    `pairs` are all pairs. `win_probability` is each optimizer's to have the best score if the search were
    repeated with as many independent settings; None where that can't be said. Without a verdict these are
    None and `lines` say why; else `lines` are its text.
    """

    lines: tuple[str, ...]
    leader: str | None = None
    against: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    win_probability: "pd.Series[float] | None" = None

    @property
    def is_reached(self) -> bool:
        """Whether there is a verdict."""
        return self.against is not None

    def _repr_html_(self) -> str:
        return notebook.lines(self.lines)


def verdict(trials: pd.DataFrame, experiment: Experiment, *, resamples: int = 10_000) -> Verdict:
    """The verdict on the sweep of `experiment` whose frame is `trials`, or why there is none.

    Judged is the objective's test counterpart, over the finals of the settings that represent the optimizers,
    with the decision rule of `compare`. Optimizers with a budget of their own stay out of it, and so do
    imported finals of which no test score is known.
    """
    first = leader(trials, experiment)
    tests = _tests(trials, experiment)
    if reason := _why_none(trials, experiment, first, list(tests)):
        return Verdict((reason, *_closing(trials, experiment, has_verdict=False)))
    assert first is not None
    judged = {name: test["test"].to_numpy() for name, test in tests.items()}
    higher = scoring.higher_is_better(experiment.objective)
    against, pairs = compare(judged, first, higher_is_better=higher, resamples=resamples)
    against = _with_differences(against, first, tests, experiment)
    wins, luck = _luck(trials, experiment, first)
    lines = [
        sentences.heading(experiment, first, search_scores(trials, experiment)[first]),
        *(
            sentences.on(row, first, tests[first], tests[str(row["optimizer"])], experiment, len(against))
            for _, row in against.iterrows()
        ),
        luck,
        *_closing(trials, experiment, has_verdict=True),
    ]
    return Verdict(tuple(lines), first, against, pairs, wins)


def leader(trials: pd.DataFrame, experiment: Experiment) -> str | None:
    """The optimizer with the best objective in the search; None where none has a score.

    With repeated searches by the mean of their bests; of equal ones the first in the file. Optimizers with a
    budget of their own lead only where there are no others.
    """
    found = search_scores(trials, experiment)
    names = _judged(experiment) or [arm.name for arm in experiment.arms]
    names = [name for name in names if name in found]
    best = max if scoring.higher_is_better(experiment.objective) else min
    return best(names, key=lambda name: found[name]) if names else None


def search_scores(trials: pd.DataFrame, experiment: Experiment) -> dict[str, float]:
    """For each optimizer with a scored trial its best objective in the search, mean over repeats."""
    search = scores.proposed(
        scores.of_search(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    )
    search = search.assign(repeat=search["number"] % experiment.search.repeats)
    bests = search.groupby(["optimizer", "repeat"], sort=False)["score"]
    by_repeat = bests.max() if scoring.higher_is_better(experiment.objective) else bests.min()
    return {str(name): float(score) for name, score in by_repeat.groupby("optimizer").mean().items()}


def _judged(experiment: Experiment) -> list[str]:
    return [arm.name for arm in experiment.arms if arm.steps is None]


def judgeable(trials: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The scored finals, without imported ones of which no test score is known; see `finals.scored`.

    Of an imported final that diverged the score is the worst one known, if any is.
    """
    final = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    if not experiment.imported:
        return final
    is_told = np.isfinite(final[scores.counterpart(experiment.objective)].to_numpy(dtype=np.float64))
    has_diverged = (final["state"] == TrialState.DIVERGED).to_numpy()
    known: pd.DataFrame = final[(is_told | has_diverged) & final["test"].notna()]
    return known


def _tests(trials: pd.DataFrame, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """For each judged optimizer that has them, its representatives' finals."""
    final = judgeable(trials, experiment)
    found = {
        name: finals.representing(
            final[final["optimizer"] == name], experiment.objective, experiment.search.repeats
        )
        for name in _judged(experiment)
    }
    return {name: test for name, test in found.items() if len(test)}


def _why_none(
    trials: pd.DataFrame, experiment: Experiment, first: str | None, tested: list[str]
) -> str | None:
    """The reason why there is no verdict, if there is none."""
    if experiment.search.mode == "joint":
        return "No verdict in mode joint: the search gave the optimizers unequal numbers of trials."
    if experiment.imported:
        return _why_none_imported(trials, experiment, first, tested)
    if len(_judged(experiment)) < 2:
        return "No verdict: fewer than two optimizers share a budget, so there is nothing to compare."
    if not experiment.final.top_k:
        n = experiment.budget.trials_per_optimizer - 1
        return (
            f"No verdict without finals: each best is the best of {n}, chosen among {n}, which flatters it."
        )
    so_far = progress(trials, experiment)
    if not so_far.searched_all:
        return "No verdict yet: the search is not over."
    if so_far.n_finals_missing:
        return f"No verdict yet: waiting for {so_far.n_finals_missing} of {so_far.n_finals} finals."
    if first is None:
        return "No verdict: no setting besides the untuned ones has a score."
    if first not in tested or len(tested) < 2:
        return "No verdict: no final of the leader, or of any other optimizer, came to an end."
    return None


def _why_none_imported(
    trials: pd.DataFrame, experiment: Experiment, first: str | None, tested: list[str]
) -> str | None:
    """The same of imported results, of which nobody knows what is still to come."""
    if len(experiment.arms) < 2:
        return "No verdict: the imported results are of fewer than two optimizers."
    if not experiment.final.top_k:
        counts = _n_scored(trials, experiment)
        n = f"{min(counts, default=0)} to {max(counts, default=0)}" if len(set(counts)) > 1 else counts[0]
        return (
            f"No verdict: the imported results have no finals. Each best is the best of {n}, chosen among "
            f"them, which flatters it."
        )
    if first is None:
        return "No verdict: no imported setting besides the untuned ones has a score."
    if first not in tested or len(tested) < 2:
        return "No verdict: no imported final of the leader, or of any other optimizer, has a test score."
    return None


def _n_scored(trials: pd.DataFrame, experiment: Experiment) -> list[int]:
    """How many scored settings each optimizer has in the search."""
    search = scores.proposed(trials[trials["phase"] == Phase.SEARCH])
    return [int((search["optimizer"] == arm.name).sum()) for arm in experiment.arms]


def _luck(trials: pd.DataFrame, experiment: Experiment, first: str) -> tuple["pd.Series[float] | None", str]:
    """How often each optimizer would win the search if it were repeated, and what that says of the leader."""
    independent = independent_scores(trials, experiment)
    if independent.reason is not None or first not in independent.scores:
        return None, sentences.unknown_luck(independent.reason)
    k = min(len(values) for values in independent.scores.values())
    higher = scoring.higher_is_better(experiment.objective)
    wins = win_probability(independent.scores, k, higher_is_better=higher)
    return wins, sentences.luck(first, float(wins[first]), k, independent.note)


def _with_differences(
    against: pd.DataFrame, first: str, tests: dict[str, pd.DataFrame], experiment: Experiment
) -> pd.DataFrame:
    loss, n_classes = experiment.loss.name, experiment.n_classes
    losses = {name: scores.of(t, "test_loss", loss, n_classes).mean() for name, t in tests.items()}
    accuracies = {name: t["accuracy"].mean() for name, t in tests.items()}
    names = against["optimizer"]
    return against.assign(
        loss_difference=losses[first] - _column(losses, names),
        accuracy_points=100 * (accuracies[first] - _column(accuracies, names)),
        n=[len(tests[name]) for name in names],
    )


def _column(values: dict[str, float], names: "pd.Series[str]") -> npt.NDArray[np.float64]:
    return np.array([values[name] for name in names], dtype=np.float64)


def _closing(trials: pd.DataFrame, experiment: Experiment, *, has_verdict: bool) -> list[str]:
    """What limits the verdict."""
    lines = []
    is_final = trials["phase"] == "final"
    if has_verdict:
        lines += sentences.limits(experiment, trials[is_final & (trials["origin"] == Origin.FINAL)])
    if experiment.imported:
        final = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
        n_untold = len(final) - len(judgeable(trials, experiment))
        lines += sentences.imported_limits(experiment, _n_scored(trials, experiment), n_untold)
    if n := int((is_final & (trials["origin"] == Origin.SUPERSEDED)).sum()):
        lines.append(
            f"The test images were used again: {n} earlier finals are of settings no longer chosen, and "
            f"stay out of every number."
        )
    if experiment.imported is None and experiment.data.name == "synthetic":
        lines.append("Synthetic images: this shows how Sweeper works, not which optimizer is better.")
    return lines
