"""The verdict's sentences, each from a `Decision` and from nothing else."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sweeper.analysis.decision import Decision, fewest_seeds
from sweeper.analysis.power import needed_seeds
from sweeper.experiment import Experiment
from sweeper.records import TrialState
from sweeper.space import Fixed

DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "synthetic": "synthetic images"}
OBJECTIVES = {
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
}
SURE = 0.8
"""A leader that would lead less often owes its lead to the luck of the search."""
SENTENCES: Mapping[Decision, str] = {
    Decision.BETTER: "{other} is worse than {leader} ({numbers}; {evidence}).",
    Decision.HARDLY_BETTER: "{other} is worse than {leader}, but hardly ({numbers}; {evidence}).",
    Decision.NO_DIFFERENCE: "{other} and {leader}: no difference that matters ({numbers}; {evidence}).",
    Decision.UNDECIDED: "{other}: undecided against {leader} ({numbers}; {evidence}; {needed}).",
    Decision.HARDLY_WORSE: (
        "{other} is better than {leader}, which led the search, but hardly ({numbers}; {evidence})."
    ),
    Decision.WORSE: "{other} is better than {leader}, which led the search ({numbers}; {evidence}).",
    Decision.TOO_FEW_SEEDS: "{other} against {leader}: these seeds cannot decide ({numbers}; {fewest}).",
}


def heading(experiment: Experiment, leader: str, score: float) -> str:
    """What was compared, and who led the search."""
    if experiment.imported:
        return _imported_heading(experiment, leader, score)
    epochs, repeats = experiment.budget.epochs, experiment.search.repeats
    settings, seeds = experiment.budget.trials_per_optimizer - 1, experiment.final.seeds
    schedule = experiment.space["schedule"]
    lr = f"{schedule.value} lr" if isinstance(schedule, Fixed) else "the lr schedule searched"
    judged = "accuracy" if experiment.objective == "val_accuracy" else "loss"
    searches = f" in {repeats} searches" if repeats > 1 else ""
    score_name = ("mean " if repeats > 1 else "") + OBJECTIVES[experiment.objective]
    return (
        f"On {DATA[experiment.data.name]} ({experiment.data.train_size:,} images), {experiment.model.name}, "
        f"{counted(epochs, 'epoch')}, {lr}, {counted(settings, 'setting')} an optimizer{searches}: {leader} "
        f"led the search ({score_name} {score:.3f}). Judged by test {judged} over "
        f"{counted(seeds, 'fresh seed')}:"
    )


def _imported_heading(experiment: Experiment, leader: str, score: float) -> str:
    assert experiment.imported is not None
    most = counted(experiment.budget.trials_per_optimizer, "trial")
    judged = "accuracy" if experiment.objective.endswith("accuracy") else "loss"
    return (
        f"Imported from {experiment.imported.source}, up to {most} an optimizer: {leader} led the search "
        f"({OBJECTIVES[experiment.objective]} {score:.3f}). Judged by test {judged} over the imported finals:"
    )


def luck(leader: str, share: float, k: int, note: str | None) -> str:
    """How often the leader would lead if the search were repeated with `k` independent settings each."""
    depends = ": who leads depends on the luck of the search" if share < SURE else ""
    more = f" {note}" if note else ""
    return (
        f"If the search were repeated with {counted(k, 'independent setting')} an optimizer, {leader} would "
        f"lead in {100 * share:.0f} of 100{depends}.{more}"
    )


def unknown_luck(reason: str | None) -> str:
    """Why nobody knows how often the leader would lead."""
    return (
        f"How often the leader would lead if the search were repeated is not known: {reason or 'no scores.'}"
    )


def on(
    row: "pd.Series[str]",
    leader: str,
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    experiment: Experiment,
    n_comparisons: int,
) -> str:
    """The sentence on one row of the verdict: the leader's finals `ours` against the other's, `theirs`."""
    decision = Decision(row["decision"])
    n_pairs = len(ours) * len(theirs)
    p = float(row["p"])
    fewest = fewest_seeds(n_comparisons)
    n_missing = max(experiment.final.seeds - min(len(ours), len(theirs)), 0)  # finals that failed
    return SENTENCES[decision].format(
        other=row["optimizer"],
        leader=leader,
        numbers=_numbers(ours, theirs, experiment),
        evidence=(
            f"{leader} ahead in {float(row['estimate']) * n_pairs:.4g} of {n_pairs} pairs, "
            f"adjusted p {'below 0.001' if p < 0.001 else format(p, '.2g')}"
        ),
        needed=_needed(ours, theirs, n_comparisons) if decision is Decision.UNDECIDED else "",
        fewest=f"{counted(n_comparisons, 'comparison')} can be decided from {fewest} seeds on: "
        f"--set final.seeds={fewest + n_missing}",
    )


def limits(experiment: Experiment, final: pd.DataFrame) -> list[str]:
    """What holds for every verdict: how far it reaches, and what it leaves out. `final` are the finals."""
    lines = ["It holds for the settings that this search found, and for nothing beyond what is named here."]
    if experiment.final.top_k > 1:
        lines.append(
            f"Of an optimizer's best {experiment.final.top_k} settings the one with the best mean "
            f"{OBJECTIVES[experiment.objective]} over the finals represents it."
        )
    if experiment.search.repeats == 1 and not experiment.imported:
        lines.append(
            "One search per optimizer (repeats = 1): its luck is estimated from within it, not from others."
        )
    if own := [arm.name for arm in experiment.arms if arm.steps is not None]:
        lines.append(f"{', '.join(own)}: with a budget of its own, and so not judged.")
    failed = final.loc[final["state"] == TrialState.FAILED, "optimizer"].value_counts(sort=False)
    lines += [
        f"{name}: {counted(int(n), 'final')} failed, left out of every number." for name, n in failed.items()
    ]
    return lines


def imported_limits(experiment: Experiment, n_scored: Sequence[int], n_untold: int) -> list[str]:
    """What imported results leave open: `n_scored` settings by optimizer, `n_untold` finals unscored."""
    lines = []
    if len(set(n_scored)) > 1:
        numbers = ", ".join(f"{arm.name} {n}" for arm, n in zip(experiment.arms, n_scored, strict=True))
        lines.append(f"Unequal numbers of settings were tried ({numbers}): more tries find a better best.")
    if n_untold:
        lines.append(f"{counted(n_untold, 'imported final')} without a test score: not judged.")
    return lines


def counted(n: int, noun: str) -> str:
    """`1 epoch`, `4 epochs`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _numbers(ours: pd.DataFrame, theirs: pd.DataFrame, experiment: Experiment) -> str:
    """The other's test means against the leader's: of what is judged first, and the accuracy's difference."""
    accuracies = theirs["accuracy"].mean(), ours["accuracy"].mean()
    points = 100 * abs(accuracies[0] - accuracies[1])
    if np.isnan(points):
        return f"test loss {theirs['test'].mean():.3f} against {ours['test'].mean():.3f}"
    text = f"test accuracy {accuracies[0]:.3f} against {accuracies[1]:.3f}, {points:.1f} points"
    if experiment.objective == "val_accuracy":
        return text
    return f"test loss {theirs['test'].mean():.3f} against {ours['test'].mean():.3f}, {text}"


def _needed(ours: pd.DataFrame, theirs: pd.DataFrame, n_comparisons: int) -> str:
    """How many seeds a difference of the size seen would take."""
    n = needed_seeds(ours["test"].to_numpy(), theirs["test"].to_numpy(), n_comparisons)
    if n is None:
        return "hundreds of seeds would be needed, or it doesn't matter"
    return f"a difference of this size takes about {n} seeds"
