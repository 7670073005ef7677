"""Figures of the search: what to expect of more tries, who would win, what was found."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper import scoring
from sweeper.analysis import shown
from sweeper.analysis.figures.style import empty, faded, figure, label, look
from sweeper.analysis.searching import common_target, spread, tries_until
from sweeper.analysis.sentences import OBJECTIVES, counted

MOST_STEPS = 128
"""Of more trials the path is drawn by its improvements."""


def expected_best(curves: Mapping[str, pd.DataFrame], *, objective: str) -> go.Figure:
    """The best score to expect against the number of random trials, with bands; frames of `expected_best`."""
    if not curves:
        return empty("No expected best: no optimizer has independent trials.")
    made = figure(_tries(curves, objective))
    for name, curve in curves.items():
        drawn = curve[curve["k"].isin(spread(len(curve)))]
        _band(made, name, drawn["k"], drawn)
    made.update_xaxes(
        title_text="random trials", type="log" if _longest(curves) > 32 else "linear", dtick=None
    )
    made.update_yaxes(title_text=f"best {OBJECTIVES[objective]} to expect")
    return made


def _longest(curves: Mapping[str, pd.DataFrame]) -> int:
    return max(len(curve) for curve in curves.values())


def _tries(curves: Mapping[str, pd.DataFrame], objective: str) -> str:
    """How many tries each optimizer needs until what all of them reach."""
    higher = scoring.higher_is_better(objective)
    target = common_target(curves, higher_is_better=higher)
    tries = {name: tries_until(curve, target, higher_is_better=higher) for name, curve in curves.items()}
    parts = [f"{name} needs {counted(k, 'try').replace('trys', 'tries')}" for name, k in _sorted(tries)]
    return f"To expect a {OBJECTIVES[objective]} of {target:.3f}: {', '.join(parts)}."


def _sorted(tries: Mapping[str, int | None]) -> list[tuple[str, int]]:
    return sorted(((name, k) for name, k in tries.items() if k is not None), key=lambda pair: pair[1])


def _band(made: go.Figure, name: str, x: "pd.Series[float]", band: pd.DataFrame) -> None:
    """A mean as a line, and low..high as a band that belongs to it."""
    colour, _, dash = look(name)
    across = np.concatenate([x.to_numpy(), x.to_numpy()[::-1]])
    around = np.concatenate([band["high"].to_numpy(), band["low"].to_numpy()[::-1]])
    made.add_scatter(
        x=across,
        y=around,
        mode="lines",
        fill="toself",
        fillcolor=faded(colour, 0.15),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=name,
    )
    made.add_scatter(
        x=x.to_numpy(),
        y=band["mean"].to_numpy(),
        customdata=band[["low", "high"]].to_numpy(),
        name=label(name),
        legendgroup=name,
        mode="lines+markers" if len(x) <= 30 else "lines",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": look(name).symbol, "size": 7},
        hovertemplate="%{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})",
    )


def incumbents(frame: pd.DataFrame, *, objective: str) -> go.Figure:
    """The best so far after each trial; the frame of `incumbents`."""
    if frame.empty:
        return empty("No trial has a score yet.")
    made = figure(
        f"The best {OBJECTIVES[objective]} so far, in the order of the trials: the search's path, and no "
        "expectation."
    )
    for name, every in frame.groupby("optimizer", sort=False):
        colour, _, dash = look(str(name))
        path = every if len(every) <= MOST_STEPS else _steps(every)
        made.add_scatter(
            x=path["number"].to_numpy(),
            y=path["best"].to_numpy(),
            name=label(str(name)),
            mode="lines+markers" if len(path) <= 30 else "lines",
            line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
            marker={"color": colour, "symbol": look(str(name)).symbol, "size": 6},
            hovertemplate="trial %{x}: %{y:.3f}",
        )
    made.update_xaxes(title_text="trial number")
    made.update_yaxes(title_text=f"best {OBJECTIVES[objective]} so far")
    return made


def _steps(path: pd.DataFrame) -> pd.DataFrame:
    """The trials that improved on all before them, and the last one: the same line with fewer points."""
    is_better = path["best"] != path["best"].shift()
    found: pd.DataFrame = path[is_better | (path["number"] == path["number"].max())]
    return found


def win_probability(frame: pd.DataFrame) -> go.Figure:
    """Each optimizer's probability of the best score, by number of trials; a column `k` and one each."""
    names = [str(name) for name in frame.columns if name != "k"]
    if frame.empty or not names:
        return empty("No win probability: fewer than two optimizers have independent trials.")
    last = frame.iloc[-1]
    highest = max(float(last[name]) for name in names)
    first = [name for name in names if float(last[name]) == highest]
    has = "has" if len(first) == 1 else "each have"
    made = figure(
        f"After {counted(int(last['k']), 'random trial')} each, {' and '.join(first)} {has} the best "
        f"score in {shown.share(highest)} of searches."
    )
    for name in names:
        colour, symbol, dash = look(name)
        made.add_scatter(
            x=frame["k"].to_numpy(),
            y=frame[name].to_numpy(dtype=np.float64),
            name=label(name),
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol, "size": 7},
            hovertemplate="%{y:.0%}",
        )
    made.update_xaxes(title_text="random trials each", type="log" if int(last["k"]) > 32 else "linear")
    made.update_yaxes(title_text="probability of the best score", range=[0, 1], tickformat=".0%")
    return made


def lr_sensitivity(
    points: pd.DataFrame, bins: pd.DataFrame, *, objective: str, chance: float | None
) -> go.Figure:
    """Learning rate against score, all optimizers on one axis; dead settings as crosses, bests joined.

    `points` has `optimizer, lr, score, is_dead`, `bins` the half-decades of `lr_sensitivity`.
    """
    if points.empty:
        return empty("No scored trial has a learning rate.")
    made = figure(_best_rates(points, objective), height=460)
    for name, mine in points.groupby("optimizer", sort=False):
        colour, symbol, dash = look(str(name))
        alive, dead = mine[~mine["is_dead"]], mine[mine["is_dead"]]
        common = {"legendgroup": str(name), "mode": "markers"}
        made.add_scatter(
            x=alive["lr"].to_numpy(),
            y=alive["score"].to_numpy(),
            name=label(str(name)),
            marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
            hovertemplate="lr %{x:.3g}: %{y:.3f}",
            **common,
        )
        if len(dead):
            made.add_scatter(
                x=dead["lr"].to_numpy(),
                y=dead["score"].to_numpy(),
                name=f"{label(str(name))}, dead",
                showlegend=False,
                marker={"color": colour, "symbol": "x-thin-open", "size": 9, "line": {"width": 2}},
                hovertemplate="dead, lr %{x:.3g}",
                **common,
            )
        own = bins[bins["optimizer"] == name]
        made.add_scatter(
            x=np.sqrt(own["low"].to_numpy() * own["high"].to_numpy()),
            y=own["best"].to_numpy(),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 1.5},
            showlegend=False,
            legendgroup=str(name),
            hoverinfo="skip",
        )
    if chance is not None:
        made.add_hline(y=chance, line={"color": "#8A8F98", "dash": "dot", "width": 1})
        made.add_annotation(
            text="chance", xref="paper", x=1, xanchor="right", y=chance, yanchor="bottom", showarrow=False
        )
    made.update_xaxes(
        title_text="lr (effective lr for momentum and nesterov)", type="log", exponentformat="power", dtick=1
    )
    made.update_yaxes(title_text=OBJECTIVES[objective])
    return made


def _best_rates(points: pd.DataFrame, objective: str) -> str:
    higher = scoring.higher_is_better(objective)
    parts = []
    for name, mine in points.groupby("optimizer", sort=False):
        mine = mine.dropna(subset=["score"])
        if mine.empty:
            continue
        place = int((mine["score"] if higher else -mine["score"]).to_numpy().argmax())
        parts.append(f"{name} {mine['lr'].iloc[place]:.2g}")
    return f"The best learning rates tried: {', '.join(parts)}."


def importances(shares: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """What each hyperparameter's share in the score's variation is, per optimizer."""
    if not shares:
        return empty("No importances.")
    firsts = [f"{name}: {max(mine, key=mine.__getitem__)}" for name, mine in shares.items()]
    made = figure(
        f"What matters most: {'; '.join(firsts)}.", height=max(220, 90 + 26 * sum(map(len, shares.values())))
    )
    for name, mine in shares.items():
        order = sorted(mine, key=lambda key: mine[key])
        made.add_bar(
            y=[[label(name)] * len(order), [label(key) for key in order]],
            x=[mine[key] for key in order],
            orientation="h",
            marker={"color": look(name).colour},
            showlegend=False,
            hovertemplate="%{x:.0%}",
        )
    made.update_xaxes(title_text="importance", tickformat=".0%", range=[0, 1])
    return made
