"""How training went: learning curves of the representing settings, and the time to targets."""

import math
from collections.abc import Mapping

import pandas as pd

from sweeper.analysis import figures, shown
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Text, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.records import Phase, TrialKey

TITLE = "Learning curves"
MEANING = (
    "The training loss is the mean over the epoch, seen while the weights changed. "
    "Seconds are of training and evaluation."
)
OF_FINALS = (
    "Of the settings that represent the optimizers; the line is the mean over the finals' seeds, the band "
    f"reaches from the lowest to the highest seed. {MEANING}"
)
UNITS = {"epoch": "epochs", "samples": "samples", "seconds": "seconds"}
LEFT_OUT = {
    "samples": "Samples are left out: these results don't tell how many there were.",
    "seconds": "Seconds are left out: not all finals are known to have run on one kind of device.",
}
"""Why a unit isn't there."""


def learning(results: Results, numbers: Numbers) -> Section:
    """Train and validation loss by epoch and by seconds, and the gap between them.

    Of the finals; as long as there are none, of each optimizer's best trial of the search.
    """
    if len(numbers.curves):
        return section("learning", TITLE, *_drawn(numbers.curves, {}), Text((OF_FINALS,)))
    searched = numbers.searched_curves
    if searched.empty:
        why = (
            "the imported results have no epochs of scored trials."
            if results.experiment.imported
            else "no final, and no scored trial of the search, has recorded an epoch."
        )
        return section("learning", TITLE, Missing(f"No learning curves: {why}"))
    bests = _bests(numbers, searched)
    return section("learning", TITLE, *_drawn(searched, bests), Text((_of_search(numbers, bests),)))


def _drawn(curves: pd.DataFrame, keys: Mapping[str, str]) -> list[Block]:
    """The figures of the curves; `keys` are the trials whose they are, none where they are of finals."""
    drawn: list[Block] = []
    known = set(curves["column"])
    for column in ("val_loss", "train_loss", "val_accuracy"):
        if column in known:
            key, answer = f"curves-{column.replace('_', '-')}", _whose(curves, column, keys)
            drawn.append(Drawing(key, figures.learning_curves(curves, column=column, answer=answer)))
    main = "val_loss" if "val_loss" in known else min(known)
    if curves["seconds"].notna().any():
        answer = _whose(curves, main, keys)
        figure = figures.learning_curves(curves, by="seconds", column=main, answer=answer)
        drawn.append(Drawing("curves-seconds", figure))
    if "gap" in known:
        figure = figures.generalization_gap(curves, answer=_whose(curves, "gap", keys))
        drawn.append(Drawing("gap", figure))
    return drawn


def _whose(curves: pd.DataFrame, column: str, keys: Mapping[str, str]) -> str | None:
    """Which trials' curves are drawn, and no word on who is ahead; None where they are of finals."""
    if not keys:
        return None
    names = pd.unique(curves.loc[curves["column"] == column, "optimizer"])
    listed = ", ".join(keys[str(name)] for name in names)
    return f"{figures.TITLES[column].capitalize()} of one trial of each optimizer: {listed}."


def _bests(numbers: Numbers, curves: pd.DataFrame) -> dict[str, str]:
    """The key of the trial of the search that each optimizer's curves are of."""
    found = numbers.standing[numbers.standing["optimizer"].isin(curves["optimizer"])]
    return {
        str(row["optimizer"]): str(TrialKey(row["optimizer"], Phase.SEARCH, int(row["best_number"])))
        for _, row in found.iterrows()
    }


def _of_search(numbers: Numbers, bests: Mapping[str, str]) -> str:
    """Whose curves these are, and what is to come."""
    progress, standing = numbers.progress, numbers.standing
    n_scored = dict(zip(standing["optimizer"], standing["scored"], strict=True))
    tried = ", ".join(f"{key} the best of {n_scored[name]}" for name, key in bests.items())
    so_far = "" if progress.searched_all else " so far"
    if progress.n_finals_missing:
        finals = "Finals are still to come."
    elif progress.n_finals:
        finals = "No final has recorded an epoch."
    else:
        finals = "There are no finals."
    return (
        f"Of the best trial of the search{so_far} of each optimizer, one run each ({tried}): the best of "
        f"those tried flatters. {finals} {MEANING}"
    )


def time_to_target(results: Results, numbers: Numbers) -> Section:
    """Median time to each target, with hit rates."""
    if not numbers.targets:
        return section(
            "targets",
            "Time to target",
            Missing("No time to target: there are no finals with recorded epochs."),
        )
    source = (
        "The targets are derived from these results: what the median optimizer's mean curve reaches at half "
        "and at all of the epochs. `[report] targets` in the experiment fixes them beforehand."
        if numbers.targets_are_derived
        else "The targets were fixed in the experiment before any result was seen."
    )
    units = [unit for unit in UNITS if any(by == unit for _, by in numbers.times)]
    left_out = [why for unit, why in LEFT_OUT.items() if unit not in units]
    return section(
        "targets",
        "Time to target",
        *(_target(numbers, target, units) for target in numbers.targets),
        Text(
            (
                "Median over the finals of the time until the validation accuracy is reached, linear between "
                f"epochs; a run that never gets there takes for ever. {source}",
                *left_out,
            )
        ),
    )


def _target(numbers: Numbers, target: float, units: list[str]) -> Block:
    frames = {unit: numbers.times[target, unit].set_index("optimizer") for unit in units}
    rows = []
    for name, row in frames["epoch"].iterrows():
        cells = [_time(frames[unit].at[name, "median"], unit) for unit in units]
        rows.append((str(name), f"{row['hits']:.0f} of {row['n']:.0f}", *cells))
    headings = ("optimizer", "reached by", *(f"median {UNITS[unit]}" for unit in units))
    return table(f"Until validation accuracy {target:.3f}", headings, rows)


def _time(value: object, unit: str) -> str:
    if isinstance(value, float) and math.isinf(value):
        return "never"
    if shown.is_missing(value):
        return shown.NOTHING
    return shown.count(value) if unit == "samples" else shown.number(value)
