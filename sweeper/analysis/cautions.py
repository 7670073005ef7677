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
from sweeper.analysis.progress import progress
from sweeper.analysis.sentences import counted
from sweeper.analysis.shapes import gap, rise
from sweeper.analysis.statistics import behind_untuned, summary_of
from sweeper.analysis.targets import representatives, representing
from sweeper.analysis.verdict import Verdict, judgeable
from sweeper.experiment import Experiment
from sweeper.printable import one_line
from sweeper.records import Phase, TrialState

UNEQUAL = 1.1
"""Optimizers that spend more samples on a trial than this many times another's are of unequal cost."""

LEDGER = "sweeper report {name} --format json  # its `costs`"
IMPORT = "sweeper import {name} --trials FILE{more}"


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
        *_incomplete(trials, experiment),
        *_imported(epochs, experiment),
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
    """Where the untuned setting beats the tuned one: in the search by a score, in the finals by the rule.

    The better mean alone is no warning: of equal settings each has it every second time.
    """
    if experiment.imported:
        return
    more = f"--set budget.trials_per_optimizer={2 * max(experiment.budget.trials_per_optimizer, 1)}"
    for name in behind_untuned(summary_of(trials, epochs, experiment), objective=experiment.objective):
        text = f"{name}: the best setting found is worse than the untuned one: searched too little."
        yield Caution("untuned", text, more)
    tuned, untuned = _tests(trials, experiment)
    higher = scoring.higher_is_better(experiment.objective)
    for _, row in compare_each(tuned, untuned, higher_is_better=higher).iterrows():
        name = str(row["optimizer"])
        if Decision(row["decision"]).is_worse:
            ours, theirs = float(np.mean(tuned[name])), float(np.mean(untuned[name]))
            text = (
                f"{name}: in the finals the tuned setting is {row['decision']} than the untuned one "
                f"({ours:.3f} against {theirs:.3f}): searched too little."
            )
            yield Caution("untuned", text, more)


def _tests(
    trials: pd.DataFrame, experiment: Experiment
) -> tuple[dict[str, scores.Floats], dict[str, scores.Floats]]:
    """The finals' test scores by optimizer, of the tuned and of the untuned settings."""
    scored = judgeable(trials, experiment)
    runs = representing(scored, experiment.objective, experiment.search.repeats)
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
        missing = max(experiment.final.seeds - int(against["n"].min()), 0)  # finals that failed
        n = fewest_seeds(n_comparisons) + missing
        text = f"{', '.join(few)}: these seeds cannot decide; {n} can."
        yield Caution("seeds", text, f"{resume}{n}")
    tests, _ = _tests(trials, experiment)
    open_ = against.loc[against["decision"] == Decision.UNDECIDED, "optimizer"]
    needed = {name: needed_seeds(tests[str(verdict.leader)], tests[name], n_comparisons) for name in open_}
    known = {name: n for name, n in needed.items() if n is not None}
    if known:
        parts = ", ".join(f"{name} about {n}" for name, n in known.items())
        text = f"Undecided against {verdict.leader}; differences of the size seen would take seeds: {parts}."
        yield Caution("seeds", text, f"{resume}{max(known.values())}")


def _overfitting(trials: pd.DataFrame, epochs: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    """Where the finals' validation loss has a minimum and then rises by more than the seeds' spread."""
    runs = representatives(trials, experiment)[["optimizer", "number"]]
    final = epochs[(epochs["phase"] == Phase.FINAL) & epochs["val_loss"].notna()]
    for name, mine in final.merge(runs, on=["optimizer", "number"]).groupby("optimizer", sort=False):
        curves = mine.pivot(index="number", columns="epoch", values="val_loss").dropna()
        found = rise(curves)
        if found is None:
            continue
        best, last = found
        text = (
            f"{name} overfits: its validation loss is lowest after epoch {best} "
            f"({curves[best].mean():.3f}) and rises to {curves[last].mean():.3f} after epoch {last}, mean "
            f"over {counted(len(curves), 'seed')}. Fewer epochs, weight decay or augmented images may help."
        )
        yield Caution("overfitting", text, _against_overfitting(experiment, best))


def _against_overfitting(experiment: Experiment, best: int) -> str:
    """The line to paste: images augmented where they weren't, else fewer epochs; a new sweep either way."""
    if experiment.imported or experiment.data.augment:
        return f"--set budget.epochs={best}"
    return f"--set data.augment=true    # or: --set budget.epochs={best}"


def _bimodal(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    scored = judgeable(trials, experiment)
    runs = representing(scored, experiment.objective, experiment.search.repeats)
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


def _pruned(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    n = int((trials["state"] == TrialState.PRUNED).sum())
    by = "" if experiment.imported else f" ({experiment.search.pruner})"
    if n:
        text = (
            f"{counted(n, 'trial')} pruned{by}: pruned trials have no score, and rungs "
            f"favour settings that start fast, unequally between optimizers."
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
    """Optimizers that were given more than others: a budget of their own, more trials, more samples."""
    search = trials[trials["phase"] == Phase.SEARCH]
    own = [arm.name for arm in experiment.arms if arm.steps is not None]
    for name in own:
        text = f"{name} has a budget of its own, in steps: it is shown with its cost, and not judged."
        yield Caution("cost", text, f"sweeper optimizers  # what a step of {name} costs")
    search = search[~search["optimizer"].isin(own)]
    if progress(trials, experiment).searched_all:
        yield from _unequal_trials(search, experiment)
    complete = search[(search["state"] == TrialState.COMPLETE) & (search["samples"] > 0)]
    spent = complete.groupby("optimizer", sort=False)["samples"].median()
    if len(spent) > 1 and spent.max() > UNEQUAL * spent.min():
        parts = ", ".join(f"{name} {shown.count(n)}" for name, n in spent.items())
        text = f"The optimizers spent unequal numbers of samples on a trial (medians): {parts}."
        yield Caution("cost", text, LEDGER.format(name=trials["sweep"].iloc[0]))


def _unequal_trials(search: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    counts = search["optimizer"].value_counts(sort=False)
    if counts.nunique() < 2:
        return
    parts = ", ".join(f"{name} {n}" for name, n in counts.items())
    line = f"--set budget.trials_per_optimizer={counts.max()}"
    if experiment.search.mode == "joint":
        line = "--set search.mode=per_optimizer"
    elif experiment.imported:
        line = IMPORT.format(name=search["sweep"].iloc[0], more=f"  # with {counts.min()} trials of each")
    text = f"The optimizers were given unequal numbers of trials: {parts}. The more, the better the best."
    yield Caution("cost", text, line)


def _incomplete(trials: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    so_far = progress(trials, experiment)
    if so_far.searched_all and not so_far.n_finals_missing:
        return
    most = "" if so_far.searched_all else "up to "
    text = (
        f"Not complete: {so_far.n_searched:,} of {so_far.n_trials:,} trials and {so_far.n_finals_done:,} of "
        f"{most}{so_far.n_finals:,} finals have ended, and every number here may still change."
    )
    name = trials["sweep"].iloc[0] if len(trials) else experiment.name
    yield Caution("incomplete", text, f"sweeper resume {name}")


def _imported(epochs: pd.DataFrame, experiment: Experiment) -> Iterator[Caution]:
    """What can't be said of imported results, and would take more than they tell."""
    origin = experiment.imported
    if origin is None:
        return
    text = (
        "Imported results: data, model, loss and spaces are not known, so nothing is capped at chance level, "
        "no setting is called dead, and no optimum is looked for at a border."
    )
    yield Caution("imported", text, f"sweeper export {experiment.name} --out DIR --format csv")
    if epochs.empty:
        text = "Imported without epochs: no learning curves, no time to target, no word on overfitting."
        yield Caution("imported", text, IMPORT.format(name=experiment.name, more=" --epochs FILE"))
    if not origin.independent:
        text = (
            "How the imported settings were proposed is not known: no expected best, no win probability. "
            "Where they were drawn without looking at other results, say so."
        )
        line = IMPORT.format(name=experiment.name, more=" --proposals independent")
        yield Caution("imported", text, line)
