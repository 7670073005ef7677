"""How figures look: a colour, a symbol and a dash per optimizer for ever, and two themes."""

import html
import zlib
from typing import Any, NamedTuple

import plotly.graph_objects as go

from sweeper.optimizers import ARMS


class Look(NamedTuple):
    """How an optimizer is drawn wherever it appears."""

    colour: str
    symbol: str
    dash: str


# Okabe and Ito (2008), told apart by colour-blind people; their yellow and black are left out, since one
# can't be seen on white and the other on black. Beyond the lecture's six, symbols and dashes tell the rest.
BLUE, ORANGE, GREEN, SKY, VERMILION, PURPLE, GREY = (
    *("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7"),
    "#8A8F98",
)

LOOKS: dict[str, Look] = {
    "sgd": Look(GREY, "circle", "solid"),
    "momentum": Look(SKY, "square", "dash"),
    "nesterov": Look(BLUE, "diamond", "dot"),
    "adagrad": Look(ORANGE, "triangle-up", "dashdot"),
    "rmsprop": Look(GREEN, "triangle-down", "longdash"),
    "adam": Look(VERMILION, "cross", "solid"),
    "adamw": Look(PURPLE, "x", "dash"),
    "nadam": Look(VERMILION, "star", "dot"),
    "gd": Look(GREY, "circle-open", "dot"),
    "lbfgs": Look(BLUE, "hexagon", "solid"),
    "bfgs": Look(SKY, "pentagon", "dashdot"),
    "newton": Look(GREEN, "bowtie", "dash"),
    "random_search": Look(ORANGE, "asterisk-open", "dot"),
    "local_search": Look(PURPLE, "hourglass", "longdash"),
}
OTHERS = [
    Look(colour, symbol, dash)
    for symbol, dash in (("circle-dot", "dash"), ("square-dot", "dot"), ("diamond-dot", "longdash"))
    for colour in (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
]


def look(optimizer: str) -> Look:
    """The optimizer's look; one that Sweeper doesn't know gets one by its name, the same for ever."""
    return LOOKS.get(optimizer) or OTHERS[zlib.crc32(optimizer.encode()) % len(OTHERS)]


assert LOOKS.keys() >= ARMS.keys()


def label(name: str) -> str:
    """A name from outside as text in a figure: plotly reads HTML there."""
    short = name if len(name) <= 24 else f"{name[:23]}…"
    return html.escape(short, quote=False)


def faded(colour: str, share: float) -> str:
    """A colour that lets so much of the ground through that only `share` of it is left."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def figure(answer: str, *, height: int = 420, min_width: int = 0, **layout: Any) -> go.Figure:
    """An empty figure with what all have in common; `answer` is what it shows, in words.

    In less than `min_width` pixels its texts would overlap: a page lets the reader scroll sideways there.
    """
    made = go.Figure()
    made.update_layout(
        meta={"answer": answer, "min_width": min_width},
        height=height,
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0},
        hoverlabel={"namelength": -1},
        **layout,
    )
    return made


def empty(why: str) -> go.Figure:
    """A figure of nothing, that says why."""
    made = figure(why, height=120)
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    return made


def themes() -> dict[str, Any]:
    """The templates of the two themes, `light` and `dark`, as plotly's plain values."""
    return {
        "light": _template("#1c2128", "#d0d7de", "#ffffff"),
        "dark": _template("#e6eaef", "#373e47", "#14171c"),
    }


def themed(made: go.Figure, dark: bool) -> go.Figure:
    """The figure in one of the themes."""
    return go.Figure(made).update_layout(template=themes()["dark" if dark else "light"])


def _template(ink: str, line: str, ground: str) -> dict[str, Any]:
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": line,
        "automargin": True,
        "title": {"standoff": 10},
    }
    return {
        "layout": {
            "paper_bgcolor": ground,
            "plot_bgcolor": ground,
            "font": {"color": ink, "family": 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif', "size": 13},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": ground, "font": {"color": ink}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": line, "activecolor": ink},
        }
    }
