"""What to watch out for in a sweep's results, each with a line to paste that does something about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweeper import scoring
from sweeper.analysis import finals, scores, shown
from sweeper.analysis.checks import border_check, inclusion_check
from sweeper.analysis.comparison import compare_each
from sweeper.analysis.decision import Decision, fewest_seeds
from sweeper.analysis.power import needed_seeds
from sweeper.analysis.sentences import counted
from sweeper.analysis.statistics import behind_untuned, summary_of
from sweeper.analysis.targets import representatives
from sweeper.analysis.verdict import Verdict
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import Phase, TrialState

GAP, GROUP, ENOUGH = 0.5, 2, 8
"""Finals are bimodal where a gap is more than half of their range, with two or more on each side.

From eight finals on. In 100 normal samples it finds groups in 0.9 of ten, in 3.1 of eight (simulated)."""

RISE = 0.01
"""A smaller rise of the validation loss, as a share of it, is no overfitting worth a warning."""


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to watch out for: what it is, and the line to paste."""

    kind: str
    text: str
    line: str


def cautions(
    trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment, verdict: Verdict
) -> list[Caution]:
    """Everything that the checks found, in their order; `verdict` is that of the same sweep."""
    return [
        *_borders(trials, experiment),
        *_untuned(trials, epochs, experiment),
        *_inclusions(trials, experiment),
        *_seeds(trials, experiment, verdict),
        *_overfitting(trials, epochs, experiment),
        *_bimodal(trials, experiment),
        *_pruned(trials, experiment),
        *_failed(trials),
        *_unequal(trials, experiment),
    ]


def _borders(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    for _, row in border_check(trials, experiment).iterrows():
        yield Caution(
            "border",
            f"{row['optimizer']}: its best {row['setting']}, {shown.number(row['value'])}, lies at the "
            f"{row['side']} end of its range, {shown.number(row['bound'])}: the optimum may lie outside.",
            str(row["line"]),
        )


def _untuned(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    """Where the untuned setting beats the tuned one, in the search and in the finals."""
    more = f"--set budget.trials_per_optimizer={2 * max(experiment.budget.trials_per_optimizer, 1)}"
    for name in behind_untuned(summary_of(trials, epochs, experiment), objective=experiment.objective):
        text = f"{name}: the best setting found is worse than the untuned one: searched too little."
        yield Caution("untuned", text, more)
    tuned, untuned = _tests(trials, experiment)
    higher = scoring.higher_is_better(experiment.objective)
    for _, row in compare_each(tuned, untuned, higher_is_better=higher).iterrows():
        name = str(row["optimizer"])
        ours, theirs = float(np.mean(tuned[name])), float(np.mean(untuned[name]))
        if theirs > ours if higher else theirs < ours:
            yield Caution(
                "untuned",
                f"{name}: in the finals the untuned setting has the better mean ({theirs:.3f} against "
                f"{ours:.3f}); by the decision rule the tuned one is: {row['decision']}.",
                more,
            )


def _tests(
    trials: pd.DataFrame, experiment: Experiment
) -> tuple[dict[str, scores.Floats], dict[str, scores.Floats]]:
    """The finals' test scores by optimizer, of the tuned and of the untuned settings."""
    scored = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    runs = scored[scored.index.isin(representatives(trials, experiment).index)]
    untuned = scored[scored["setting"] == finals.UNTUNED]
    tuned, other = (
        {str(name): group["test"].to_numpy() for name, group in frame.groupby("optimizer", sort=False)}
        for frame in (runs, untuned)
    )
    return tuned, other


def _inclusions(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    for _, row in inclusion_check(trials, experiment).iterrows():
        yield Caution(
            "inclusion",
            f"{row['general']} is {row['decision']} than {row['special']}, which lies inside its searched "
            f"space: it was tuned too little, and this is no finding about the rules.",
            str(row["line"]),
        )


def _seeds(trials: pd.DataFrame, experiment: Experiment, verdict: Verdict) -> Iterator[Caution]:
    if verdict.against is None or experiment.imported:
        return
    against, n_comparisons = verdict.against, len(verdict.against)
    resume = f"sweeper resume {trials['sweep'].iloc[0]} --set final.seeds="
    few = against.loc[against["decision"] == Decision.TOO_FEW_SEEDS, "optimizer"]
    if len(few):
        n = fewest_seeds(n_comparisons)
        text = f"{', '.join(few)}: these seeds cannot decide; {n} can."
        yield Caution("seeds", text, f"{resume}{n}")
    tests = finals.finals_scores(
        trials,
        objective=experiment.objective,
        loss=experiment.loss.name,
        n_classes=experiment.n_classes,
        repeats=experiment.search.repeats,
    )
    open_ = against.loc[against["decision"] == Decision.UNDECIDED, "optimizer"]
    needed = {name: needed_seeds(tests[str(verdict.leader)], tests[name], n_comparisons) for name in open_}
    known = {name: n for name, n in needed.items() if n is not None}
    if known:
        parts = ", ".join(f"{name} about {n}" for name, n in known.items())
        text = f"Undecided against {verdict.leader}; differences of the size seen would take seeds: {parts}."
        yield Caution("seeds", text, f"{resume}{max(known.values())}")


def _overfitting(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    """Where the finals' validation loss rises again, by more than twice the rise's standard error."""
    runs = representatives(trials, experiment)[["optimizer", "number"]]
    final = epochs[epochs["phase"] == Phase.FINAL].merge(runs, on=["optimizer", "number"])
    for name, mine in final.groupby("optimizer", sort=False):
        by_epoch = mine.pivot(index="number", columns="epoch", values="val_loss").dropna(axis="columns")
        if by_epoch.shape[1] < 2 or len(by_epoch) < 2:
            continue
        best, last = int(by_epoch.columns[int(by_epoch.mean().argmin())]), by_epoch.columns[-1]
        rise = by_epoch[last] - by_epoch[best]
        if rise.mean() > max(2 * rise.std() / np.sqrt(len(rise)), RISE * by_epoch[best].mean()):
            text = (
                f"{name} overfits: its validation loss is lowest after epoch {best} "
                f"({by_epoch[best].mean():.3f}) and rises to {by_epoch[last].mean():.3f} by the end, "
                f"mean over {counted(len(rise), 'seed')}."
            )
            yield Caution("overfitting", text, f"--set budget.epochs={best}")


def _bimodal(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    scored = finals.scored(trials, experiment.objective, experiment.loss.name, experiment.n_classes)
    runs = scored[scored.index.isin(representatives(trials, experiment).index)]
    for name, mine in runs.groupby("optimizer", sort=False):
        ordered = mine.sort_values("test")
        place = gap(ordered["test"].to_numpy())
        if place is not None:
            low, high = ordered["test"].iloc[place - 1], ordered["test"].iloc[place]
            text = (
                f"{name}'s finals fall into two groups, {place} up to {low:.3f} and {len(mine) - place} from "
                f"{high:.3f} on: a mean says little; look at one of each."
            )
            number = int(ordered["number"].iloc[0])
            sweep = trials["sweep"].iloc[0]
            yield Caution("bimodal", text, f"sweeper show {sweep} {name} {number} --final")


def gap(ordered: scores.Floats) -> int | None:
    """Where sorted scores fall into two groups, as the number of those below; None where they don't.

    A gap of more than half of the range with two or more scores on each side, from eight scores on.
    """
    if len(ordered) < ENOUGH or ordered[-1] == ordered[0]:
        return None
    gaps = np.diff(ordered)
    place = int(gaps.argmax()) + 1
    is_wide = gaps[place - 1] > GAP * (ordered[-1] - ordered[0])
    return place if is_wide and GROUP <= place <= len(ordered) - GROUP else None


def _pruned(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    n = int((trials["state"] == TrialState.PRUNED).sum())
    if n:
        text = (
            f"{counted(n, 'trial')} pruned ({experiment.search.pruner}): pruned trials have no score, and "
            f"rungs favour settings that start fast, unequally between optimizers."
        )
        yield Caution("pruning", text, "--set search.pruner=none")


def _failed(trials: pd.DataFrame) -> Iterator[Caution]:
    failed = trials[trials["state"] == TrialState.FAILED]
    for name, mine in failed.groupby("optimizer", sort=False):
        cause = one_line(str(mine["error"].iloc[0]))[:200]
        text = (
            f"{name}: {counted(len(mine), 'trial')} failed ({cause}). Where it is the gradients, "
            f"`sweeper gradcheck` tells."
        )
        yield Caution("failed", text, "sweeper gradcheck")


def _unequal(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    search = trials[trials["phase"] == Phase.SEARCH]
    own = [arm.name for arm in experiment.arms if arm.steps is not None]
    for name in own:
        text = f"{name} has a budget of its own, in steps: it is shown with its cost, and not judged."
        yield Caution("cost", text, f"sweeper optimizers  # what a step of {name} costs")
    counts = search.loc[~search["optimizer"].isin(own), "optimizer"].value_counts(sort=False)
    if counts.nunique() > 1:
        parts = ", ".join(f"{name} {n}" for name, n in counts.items())
        most = int(counts.max())
        line = f"--set budget.trials_per_optimizer={most}"
        yield Caution("cost", f"The optimizers were given unequal numbers of trials: {parts}.", line)
