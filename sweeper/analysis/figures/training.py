"""Figures of training: learning curves with seed bands, the generalization gap, and the workers' time."""

from datetime import datetime

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper.analysis import shown
from sweeper.analysis.figures.search import _band
from sweeper.analysis.figures.style import empty, faded, figure, label, look
from sweeper.analysis.ledger import timed
from sweeper.analysis.sentences import counted

TITLES = {
    "train_loss": "training loss (mean over the epoch)",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "gap": "validation loss less training loss",
}

MOST_BARS = 4_000
"""Of more attempts, those that follow each other on a worker are drawn as one."""

MOST_NAMES = 40
"""Of more workers only some are named on the axis: the names of all would overlap."""


def learning_curves(
    curves: pd.DataFrame, *, column: str = "val_loss", by: str = "epoch", answer: str | None = None
) -> go.Figure:
    """The mean of `column` with the band of the seeds, by epoch or by seconds; the frame of `curves`.

    `answer` is what the figure says in words; None: the mean of each optimizer at the end.
    """
    mine = curves[curves["column"] == column].dropna(subset=[by])
    if mine.empty:
        return empty(f"No {TITLES[column]}: none was recorded.")
    lasts = mine.groupby("optimizer", sort=False).tail(1)
    ends = ", ".join(f"{row['optimizer']} {row['mean']:.3f}" for _, row in lasts.iterrows())
    made = figure(answer or f"{TITLES[column].capitalize()} at the end, mean over the seeds: {ends}.")
    for name, curve in mine.groupby("optimizer", sort=False):
        _band(made, str(name), curve[by], curve)
    seconds = "seconds of training and evaluation" + (", mean over the seeds" if answer is None else "")
    made.update_xaxes(title_text="epoch" if by == "epoch" else seconds)
    made.update_yaxes(title_text=TITLES[column])
    return made


def generalization_gap(curves: pd.DataFrame, *, answer: str | None = None) -> go.Figure:
    """The validation loss less the training loss, by epoch; `answer` as in `learning_curves`."""
    return learning_curves(curves, column="gap", answer=answer)


def trial_losses(epochs: pd.DataFrame, optimizer: str) -> go.Figure:
    """One trial's training and validation loss, by epoch; `epochs` are its rows of that frame."""
    return _trial(epochs, optimizer, ("train_loss", "val_loss"), "loss, mean per sample")


def trial_accuracy(epochs: pd.DataFrame, optimizer: str) -> go.Figure:
    """One trial's validation accuracy, by epoch; `epochs` are its rows of that frame."""
    return _trial(epochs, optimizer, ("val_accuracy",), TITLES["val_accuracy"])


def _trial(epochs: pd.DataFrame, optimizer: str, columns: tuple[str, ...], title: str) -> go.Figure:
    """Columns of one trial's epochs as lines over the epochs that have a finite value."""
    ordered = epochs.sort_values("epoch")
    lines = {column: ordered[np.isfinite(ordered[column])] for column in columns}
    known = {column: mine for column, mine in lines.items() if len(mine)}
    if not known:
        kind = "accuracy" if columns == ("val_accuracy",) else "loss"
        recorded = "no epoch is recorded" if ordered.empty else f"no epoch has a finite {kind}"
        return empty(f"No curve: {recorded}.")
    answer = "; ".join(_ends(column, mine) for column, mine in known.items())
    made = figure(f"{answer[0].upper()}{answer[1:]}.")
    colour, symbol, _ = look(optimizer)
    for column, mine in known.items():
        is_training = column == "train_loss"
        made.add_scatter(
            x=mine["epoch"].to_numpy(),
            y=mine[column].to_numpy(),
            name=TITLES[column],
            showlegend=True,
            mode="lines+markers" if len(mine) <= 30 else "lines",
            line={"color": colour, "dash": "dot" if is_training else "solid", "width": 2},
            marker={"color": colour, "symbol": "circle-open" if is_training else symbol, "size": 7},
            hovertemplate="%{y:.3f}",
        )
    made.update_xaxes(title_text="epoch", dtick=1 if ordered["epoch"].max() <= 10 else None)
    made.update_yaxes(title_text=title)
    return made


def _ends(column: str, known: pd.DataFrame) -> str:
    """`validation loss 1.300 after epoch 4, lowest 1.250 after epoch 3`."""
    is_accuracy = column.endswith("accuracy")
    last = known.iloc[-1]
    values = known[column].to_numpy()
    best = known.iloc[int(values.argmax() if is_accuracy else values.argmin())]
    text = f"{TITLES[column]} {last[column]:.3f} after epoch {last['epoch']:.0f}"
    if best[column] == last[column]:
        return text
    return (
        f"{text}, {'highest' if is_accuracy else 'lowest'} {best[column]:.3f} after epoch {best['epoch']:.0f}"
    )


def timeline(attempts: pd.DataFrame, now: datetime | None = None) -> go.Figure:
    """Every attempt as a bar over its worker's time: finals paler, lost attempts hatched.

    Attempts under way are drawn up to `now` (UTC), and without it not at all.
    """
    known = timed(attempts, now)
    if known.empty:
        return empty("No timeline: the attempts have no times.")
    start = known["started_at"].min()
    begun = (known["started_at"] - start).dt.total_seconds()
    length = (known["ended_at"] - known["started_at"]).dt.total_seconds()
    named = known["worker"].fillna("not known")
    bars = known.assign(begun=begun, length=length, worker=named)
    workers = list(dict.fromkeys(bars.sort_values("begun")["worker"]))
    bars = _merged(bars) if len(bars) > MOST_BARS else bars
    wall = float((bars["begun"] + bars["length"]).max())
    n_open = int(known["is_open"].sum())
    made = figure(
        f"{counted(len(known), 'attempt')} on {counted(len(workers), 'worker')} in {shown.duration(wall)}; "
        f"{_were(int(known['is_lost'].sum()), 'lost')}"
        + (f", {n_open} under way." if n_open else ".")
        + (
            f" Those of one optimizer that follow at once are one bar ({len(bars):,})."
            * (len(bars) < len(known))
        ),
        height=min(140 + 36 * len(workers), 900),
        min_width=520,
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
    named_ticks = list(range(0, len(workers), -(-len(workers) // MOST_NAMES)))
    made.update_xaxes(title_text="seconds since the first attempt began")
    made.update_yaxes(
        title_text="worker",
        tickvals=named_ticks,
        ticktext=[label(workers[place]) for place in named_ticks],
        autorange="reversed",
    )
    return made


def _were(n: int, what: str) -> str:
    """`1 was lost`, `2 were lost`."""
    return f"{n} {'was' if n == 1 else 'were'} {what}"


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
