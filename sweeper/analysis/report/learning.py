"""How training went: learning curves of the representing settings, and the time to targets."""

import math

from sweeper.analysis import figures, shown
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Text, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results

UNITS = {"epoch": "epochs", "samples": "samples", "seconds": "seconds"}
LEFT_OUT = {
    "samples": "Samples are left out: these results don't tell how many there were.",
    "seconds": "Seconds are left out: not all finals are known to have run on one kind of device.",
}
"""Why a unit isn't there."""


def learning(results: Results, numbers: Numbers) -> Section:
    """Train and validation loss by epoch and by seconds, and the gap between them."""
    curves = numbers.curves
    if curves.empty:
        why = (
            "the imported results have no epochs of finals."
            if results.experiment.imported
            else "no final has recorded an epoch."
        )
        return section("learning", "Learning curves", Missing(f"No learning curves: {why}"))
    drawn: list[Block] = []
    known = set(curves["column"])
    for column in ("val_loss", "train_loss", "val_accuracy"):
        if column in known:
            key = f"curves-{column.replace('_', '-')}"
            drawn.append(Drawing(key, figures.learning_curves(curves, column=column)))
    main = "val_loss" if "val_loss" in known else min(known)
    if curves["seconds"].notna().any():
        drawn.append(Drawing("curves-seconds", figures.learning_curves(curves, by="seconds", column=main)))
    if "gap" in known:
        drawn.append(Drawing("gap", figures.generalization_gap(curves)))
    return section(
        "learning",
        "Learning curves",
        *drawn,
        Text(
            (
                "Of the settings that represent the optimizers; the line is the mean over the finals' seeds, "
                "the band reaches from the lowest to the highest seed. The training loss is the mean over "
                "the epoch, seen while the weights changed. Seconds are of training and evaluation.",
            )
        ),
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
