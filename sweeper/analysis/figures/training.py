"""Figures of training: learning curves with seed bands, the generalization gap, and the workers' time."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper.analysis import shown
from sweeper.analysis.figures.search import _band
from sweeper.analysis.figures.style import empty, faded, figure, label, look
from sweeper.analysis.ledger import is_lost

TITLES = {
    "train_loss": "training loss (mean over the epoch)",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "gap": "validation loss less training loss",
}

MOST_BARS = 4_000
"""Of more attempts, those that follow each other on a worker are drawn as one."""


def learning_curves(curves: pd.DataFrame, *, column: str = "val_loss", by: str = "epoch") -> go.Figure:
    """The mean of `column` with the band of the seeds, by epoch or by seconds; the frame of `curves`."""
    mine = curves[curves["column"] == column].dropna(subset=[by])
    if mine.empty:
        return empty(f"No {TITLES[column]}: none was recorded.")
    lasts = mine.groupby("optimizer", sort=False).tail(1)
    ends = ", ".join(f"{row['optimizer']} {row['mean']:.3f}" for _, row in lasts.iterrows())
    made = figure(f"{TITLES[column].capitalize()} at the end, mean over the seeds: {ends}.")
    for name, curve in mine.groupby("optimizer", sort=False):
        _band(made, str(name), curve[by], curve)
    made.update_xaxes(
        title_text="epoch" if by == "epoch" else "seconds of training and evaluation, mean over the seeds"
    )
    made.update_yaxes(title_text=TITLES[column])
    return made


def generalization_gap(curves: pd.DataFrame) -> go.Figure:
    """The validation loss less the training loss, by epoch."""
    return learning_curves(curves, column="gap")


def timeline(attempts: pd.DataFrame) -> go.Figure:
    """Every attempt as a bar over its worker's time: finals paler, lost attempts hatched."""
    known = attempts.dropna(subset=["started_at", "ended_at"])
    if known.empty:
        return empty("No timeline: the attempts have no times.")
    start = known["started_at"].min()
    begun = (known["started_at"] - start).dt.total_seconds()
    length = (known["ended_at"] - known["started_at"]).dt.total_seconds()
    lost = is_lost(known)
    named = known["worker"].fillna("not known")
    bars = known.assign(begun=begun, length=length, is_lost=lost, worker=named)
    workers = list(dict.fromkeys(bars.sort_values("begun")["worker"]))
    bars = _merged(bars) if len(bars) > MOST_BARS else bars
    wall = float((bars["begun"] + bars["length"]).max())
    made = figure(
        f"{len(known):,} attempts on {len(workers)} {'worker' if len(workers) == 1 else 'workers'} in "
        f"{shown.duration(wall)}; {int(lost.sum())} were lost."
        + (
            f" Those of one optimizer that follow at once are one bar ({len(bars):,})."
            * (len(bars) < len(known))
        ),
        height=min(140 + 36 * len(workers), 900),
        barmode="overlay",
    )
    for (name, phase, was_lost), mine in bars.groupby(["optimizer", "phase", "is_lost"], sort=False):
        colour = look(str(name)).colour
        kind = ("final" if phase == "final" else "search") + (", lost" if was_lost else "")
        made.add_bar(
            x=np.round(mine["length"].to_numpy(), 3),
            base=np.round(mine["begun"].to_numpy(), 3),
            y=[workers.index(worker) for worker in mine["worker"]],
            orientation="h",
            name=f"{label(str(name))}, {kind}",
            marker={
                "color": faded(colour, 0.45) if phase == "final" else colour,
                "pattern": {"shape": "/" if was_lost else ""},
                "line": {"width": 0},
            },
            hovertemplate=f"{label(str(name))}, {kind}: %{{x:.1f}} s from %{{base:.1f}} s<extra></extra>",
        )
    made.update_xaxes(title_text="seconds since the first attempt began")
    made.update_yaxes(
        title_text="worker",
        tickvals=list(range(len(workers))),
        ticktext=[label(worker) for worker in workers],
        autorange="reversed",
    )
    return made


def _merged(bars: pd.DataFrame) -> pd.DataFrame:
    """Runs of attempts of one kind on one worker, without a pause longer than an attempt, as one bar each."""
    ordered = bars.sort_values(["worker", "begun"])
    kind = ordered[["worker", "optimizer", "phase", "is_lost"]]
    ends = ordered["begun"] + ordered["length"]
    has_paused = ordered["begun"] - ends.shift() > ordered["length"].median()
    run = ((kind != kind.shift()).any(axis=1) | has_paused).cumsum()
    found = (
        ordered.assign(end=ends)
        .groupby(run)
        .agg(
            worker=("worker", "first"),
            optimizer=("optimizer", "first"),
            phase=("phase", "first"),
            is_lost=("is_lost", "first"),
            begun=("begun", "min"),
            end=("end", "max"),
        )
    )
    return found.assign(length=found["end"] - found["begun"])
