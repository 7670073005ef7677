"""Figures of the finals: every point, tuned against untuned, and all pairs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweeper.analysis.figures.style import empty, figure, label, look


def finals(points: pd.DataFrame, summary: pd.DataFrame, *, metric: str) -> go.Figure:
    """Every tuned final as a point, beside the mean with its 95 % interval.

    `points` has `optimizer, kind, seed, value`; mean and interval are those of `summary`.
    """
    tuned = points[points["kind"] == "tuned"]
    if tuned.empty:
        return empty("No finals have ended.")
    known = summary[(summary["final_n"] > 0) & summary["final_mean"].notna()]
    means = ", ".join(f"{row['optimizer']} {row['final_mean']:.3f}" for _, row in known.iterrows())
    made = figure(
        f"Mean {metric} over the finals: {means}. Points are seeds, bars 95 % intervals of the mean.",
        height=80 + 46 * len(known) + 60,
    )
    for place, (_, row) in enumerate(known.iterrows()):
        name = str(row["optimizer"])
        colour, symbol, _ = look(name)
        values = tuned.loc[tuned["optimizer"] == name, "value"].to_numpy()
        seeds = tuned.loc[tuned["optimizer"] == name, "seed"].astype("str").to_numpy()
        made.add_scatter(
            x=values,
            y=place + _apart(len(values)),
            customdata=seeds,
            mode="markers",
            name=label(name),
            marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.75},
            hovertemplate=f"{label(name)} %{{x:.3f}}, seed %{{customdata}}<extra></extra>",
        )
        half = [float(row["final_high"] - row["final_mean"])] if np.isfinite(row["final_high"]) else None
        made.add_scatter(
            x=[float(row["final_mean"])],
            y=[place - 0.32],
            error_x={"type": "data", "array": half, "color": colour, "thickness": 2.5} if half else None,
            mode="markers",
            marker={"color": colour, "symbol": "line-ns-open", "size": 14, "line": {"width": 3}},
            hovertemplate=f"{label(name)} mean %{{x:.3f}}<extra></extra>",
        )
    _rows(made, [str(name) for name in known["optimizer"]])
    made.update_xaxes(title_text=metric)
    return made


def _apart(n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Small shifts, the same each time, so that points don't hide each other."""
    return np.asarray([0.05, 0.2, -0.02, 0.27, 0.12])[np.arange(n) % 5]


def _rows(made: go.Figure, names: Sequence[str]) -> None:
    made.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name) for name in names],
        range=[len(names) - 0.4, -0.6],
        zeroline=False,
    )
    made.update_layout(showlegend=False)


def tuned_untuned(summary: pd.DataFrame, *, metric: str) -> go.Figure:
    """The finals' means of the tuned and of the untuned setting, joined by a line."""
    known = summary.dropna(subset=["final_mean", "untuned_final_mean"])
    if known.empty:
        return empty("No optimizer has finals of both its tuned and its untuned setting.")
    gains = (known["untuned_final_mean"] - known["final_mean"]).to_numpy()
    parts = ", ".join(f"{name} {gain:+.3f}" for name, gain in zip(known["optimizer"], -gains, strict=True))
    made = figure(
        f"What tuning changed in {metric}: {parts}. Open: untuned; filled: tuned.",
        height=80 + 40 * len(known) + 60,
    )
    for place, (_, row) in enumerate(known.iterrows()):
        colour, symbol, _ = look(str(row["optimizer"]))
        made.add_scatter(
            x=[float(row["untuned_final_mean"]), float(row["final_mean"])],
            y=[place, place],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"color": colour, "symbol": [f"{symbol.removesuffix('-open')}-open", symbol], "size": 11},
            text=["untuned", "tuned"],
            hovertemplate="%{text} %{x:.3f}<extra></extra>",
        )
    _rows(made, [str(name) for name in known["optimizer"]])
    made.update_xaxes(title_text=metric)
    return made


def pairs(frame: pd.DataFrame, order: Sequence[str]) -> go.Figure:
    """The probability that the row's optimizer beats the column's; interval and decision in each cell."""
    names = [name for name in order if name in set(frame["a"]) | set(frame["b"])]
    if frame.empty:
        return empty("No pairs: nothing is compared.")
    decided = frame[frame["decision"].str.startswith(("better", "worse"))]
    made = figure(
        f"{len(decided)} of {len(frame)} pairs differ by the decision rule; the row beats the column with "
        f"probability P.",
        height=120 + 62 * len(names),
        min_width=240 + 96 * len(names),  # the longest text of a cell is 13 letters of 11 pixels
    )
    grid = np.full((len(names), len(names)), np.nan)
    texts = [["" for _ in names] for _ in names]
    for _, row in frame.iterrows():
        a, b = names.index(row["a"]), names.index(row["b"])
        p, low, high = (float(row[key]) for key in ("estimate", "low", "high"))
        grid[a, b], grid[b, a] = p, 1 - p
        texts[a][b] = _cell(p, low, high, str(row["decision"]))
        texts[b][a] = _cell(1 - p, 1 - high, 1 - low, _turned(str(row["decision"])))
    made.add_heatmap(
        z=grid,
        text=texts,
        texttemplate="%{text}",
        textfont={"size": 11, "color": "#1c2128"},
        colorscale=[[0, "#E9A36B"], [0.5, "#F4F5F6"], [1, "#7FB3D9"]],
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "P"}, "thickness": 12},
        hovertemplate="%{text}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    # Positions, not names, are the axes: two long names may be shortened to the same.
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name) for name in names]}
    made.update_yaxes(autorange="reversed", title_text="this optimizer ...", **ticks)
    made.update_xaxes(title_text="... against this one", side="bottom", **ticks)
    return made


def _cell(p: float, low: float, high: float, decision: str) -> str:
    words = decision.replace("no difference that matters", "no difference").replace(
        "these seeds cannot decide", "too few seeds"
    )
    return f"<b>{p:.2f}</b><br>{low:.2f} to {high:.2f}<br>{words}"


def _turned(decision: str) -> str:
    """The same decision seen from the other side."""
    if decision.startswith("better"):
        return decision.replace("better", "worse", 1)
    return decision.replace("worse", "better", 1) if decision.startswith("worse") else decision
