"""The parts that compare: the summary per optimizer, the finals, the pairs, and within each batch size."""

import pandas as pd

from sweeper import scoring
from sweeper.analysis import figures, shown
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Table, Text, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.sentences import OBJECTIVES
from sweeper.experiment import Experiment


def metric(experiment: Experiment) -> str:
    """What the finals are judged by, in words."""
    return "test accuracy" if scoring.higher_is_better(experiment.objective) else "test loss"


def summary(results: Results, numbers: Numbers) -> Section:
    """The search per optimizer, in the experiment's order, then the finals."""
    blocks = (*standing(results, numbers).blocks, *finals(results, numbers).blocks)
    return section("summary", "Per optimizer", *blocks)


def standing(results: Results, numbers: Numbers) -> Section:
    """The search per optimizer, in the experiment's order."""
    experiment = results.experiment
    return section(
        "standing", "Per optimizer", _searched(numbers, experiment), Text((_legend(numbers, experiment),))
    )


def finals(results: Results, numbers: Numbers) -> Section:
    """The finals: every one as a point, and tuned against untuned."""
    experiment = results.experiment
    if numbers.points.empty:
        return section("finals", "Finals", Missing("No finals have ended: nothing was tested."))
    return section(
        "finals",
        "Finals",
        _finals(numbers, experiment),
        Drawing("finals", figures.finals(numbers.points, numbers.standing, metric=metric(experiment))),
        _tuned(numbers, experiment),
    )


def _searched(numbers: Numbers, experiment: Experiment) -> Table:
    names = shown.searched_names(experiment, numbers.standing)
    rows = []
    for _, row in numbers.standing.iterrows():
        lost = [f"{row[s]} {s}" for s in ("pruned", "diverged", "failed") if row[s]]
        rows.append(
            (
                row["optimizer"],
                f"{row['scored']} of {row['planned']}" + (f" ({', '.join(lost)})" if lost else ""),
                f"{shown.measured(row['best'])} (of {row['scored']})" if row["scored"] else shown.NOTHING,
                shown.measured(row["best_accuracy"]),
                shown.measured(row["median"]),
                shown.measured(row["iqr"]),
                shown.measured(row["untuned"]),
                shown.share(row["dead"]),
                shown.setting(row, names[row["optimizer"]]),
            )
        )
    headings = ("optimizer", "scored", "best", "accuracy", "median", "IQR", "untuned", "dead", "best setting")
    title = f"The search: {OBJECTIVES[experiment.objective]} of the settings tried"
    return table(title, headings, rows, words=(0, 8))


def _legend(numbers: Numbers, experiment: Experiment) -> str:
    parts = ["The best of n tried flatters: it was chosen among n."]
    if experiment.imported is None:
        parts.append("Untuned: the usual defaults, counted in no other column. Dead: no better than chance.")
    counts = numbers.standing["scored"]
    if counts.nunique() > 1:
        parts.append(
            f"The optimizers have unequal numbers of scored trials ({counts.min()} to {counts.max()}): no "
            f"ranking."
        )
    return " ".join(parts)


def _finals(numbers: Numbers, experiment: Experiment) -> Table:
    judges_loss = not scoring.higher_is_better(experiment.objective)
    rows = []
    for _, row in numbers.standing[numbers.standing["final_n"] > 0].iterrows():
        diverged = f" ({row['final_diverged']} of {row['final_n']} diverged)" if row["final_diverged"] else ""
        rows.append(
            (
                row["optimizer"],
                shown.number(row["final_number"]),
                f"{row['final_n']}{diverged}",
                shown.spread(row["final_mean"], row["final_sd"]),
                shown.interval(row["final_low"], row["final_high"]),
                shown.measured(row["final_median"]),
                *([shown.spread(row["final_accuracy"], row["final_accuracy_sd"])] if judges_loss else []),
            )
        )
    headings = ["optimizer", "setting", "n", metric(experiment), "95 % interval of the mean", "median"]
    return table(
        "The finals: fresh seeds at the best settings, on test images, mean ± sd",
        [*headings, *(["test accuracy"] if judges_loss else [])],
        rows,
    )


def _tuned(numbers: Numbers, experiment: Experiment) -> Drawing | None:
    if not (numbers.standing["untuned_final_n"] > 0).any():
        return None
    return Drawing("tuned-untuned", figures.tuned_untuned(numbers.standing, metric=metric(experiment)))


def pairs(results: Results, numbers: Numbers) -> Section:
    """All pairs with P, interval and decision; then the search within each batch size."""
    experiment = results.experiment
    blocks: list[Block | None] = []
    if numbers.verdict.pairs is None:
        blocks.append(Missing(f"No pairs: {numbers.verdict.lines[0]}"))
    else:
        order = [arm.name for arm in experiment.arms]
        blocks += [
            Drawing("pairs", figures.pairs(numbers.verdict.pairs, order)),
            _pair_table(numbers.verdict.pairs),
            Text(
                (
                    "P: the probability that a run of the first beats a run of the second on test images, "
                    "ties half; 95 % bootstrap interval; p of the exact Mann-Whitney test, adjusted by Holm "
                    "over all pairs. The verdict's own family is the leader against each other one.",
                )
            ),
        ]
    return section("pairs", "Pairs", *blocks, *_batch_sizes(numbers, experiment))


def _pair_table(pairs: pd.DataFrame) -> Table:
    rows = [
        (
            row["a"],
            row["b"],
            shown.measured(row["estimate"]),
            shown.interval(row["low"], row["high"]),
            shown.number(float(row["p"])),
            str(row["decision"]),
        )
        for _, row in pairs.iterrows()
    ]
    return table(
        "All pairs",
        ("first", "second", "P", "95 % interval", "adjusted p", "the first is"),
        rows,
        words=(0, 1, 5),
    )


def _batch_sizes(numbers: Numbers, experiment: Experiment) -> list[Block]:
    frame = numbers.by_batch_size
    if frame.empty:
        return [Text(("Within each batch size: all trials have the same one, or it is not known.",))]
    rows = [
        (
            shown.number(row["batch_size"]),
            row["optimizer"],
            str(row["n"]),
            f"{shown.measured(row['best'])} (trial {row['best_number']})",
            shown.measured(row["median"]),
        )
        for _, row in frame.iterrows()
    ]
    return [
        table(
            f"Within each batch size: {OBJECTIVES[experiment.objective]} in the search",
            ("batch size", "optimizer", "n", "best of n", "median"),
            rows,
            words=(1,),
        ),
        Text(
            (
                "At a fixed number of epochs a small batch takes more steps, and nearly always wins: compare "
                "optimizers within one batch size.",
            )
        ),
    ]
