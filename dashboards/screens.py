"""What a place on the page holds, in pieces: only the ones that differ from what is seen are sent.

Dash makes everything anew that it is given, and with it go zoom, scrolling and unfolded parts. So a figure
that changes stays the same element and gets other data.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import Patch, dcc, html, no_update, set_props
from dash.development.base_component import Component
from plotly.io.json import to_json_plotly

from dashboards import blocks
from sweeper.analysis.figures import themes
from sweeper.analysis.report.blocks import Drawing, Section

Seen = dict[str, str]
"""The digests of the pieces that a page shows, by their elements' ids, and of the place as a whole."""

SHAPE = "shape"
KEPT = "kept"
"""Zoom and hidden curves stay as long as a figure's `uirevision` does."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An element that is brought up to date by itself: its id, its component, and the properties that change.

    `changing` maps the id of an element and one of its properties to what it is now.
    """

    id: str
    component: Component
    changing: Mapping[tuple[str, str], Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Screen:
    """What a place holds: its pieces, in the frame that `component` puts around them."""

    component: Component
    pieces: Sequence[Piece]

    @property
    def seen(self) -> Seen:
        """What a page that shows this remembers."""
        ids = " ".join(piece.id for piece in self.pieces)
        return {SHAPE: ids, **{piece.id: piece.digest for piece in self.pieces}}


def brought(screen: Screen, seen: Seen | None) -> Any:
    """What a callback gives the place, for a page that has `seen`: all of it, or nothing.

    Of the same pieces only those that differ are sent, past the callback's own outputs.
    """
    now = screen.seen
    if seen is None or seen.get(SHAPE) != now[SHAPE]:
        return screen.component
    for piece in screen.pieces:
        if seen[piece.id] != piece.digest:
            for (element, name), value in piece.changing.items():
                set_props(element, {name: value})
    return no_update


def piece(key: str, content: Any) -> Piece:
    """A piece that is replaced as a whole where it has changed."""
    return Piece(key, html.Div(content, id=key), {(key, "children"): content}, digest(content))


def plain(pieces: Iterable[Piece], **attributes: Any) -> Screen:
    """Pieces one below the other."""
    found = tuple(pieces)
    return Screen(html.Div([each.component for each in found], **attributes), found)


def of_sections(parts: Iterable[Section], scheme: str) -> Screen:
    """Parts of the report, each block a piece, figures in the colours of `scheme`, `light` or `dark`."""
    sections, found = [], []
    for part in parts:
        mine = [_of_block(f"{part.key}-{k}", block, scheme) for k, block in enumerate(part.blocks)]
        inner = [html.H2(part.title), *(each.component for each in mine)]
        sections.append(html.Section(inner, id=f"part-{part.key}", className="part"))
        found += mine
    return Screen(html.Div(sections), tuple(found))


def _of_block(key: str, block: Any, scheme: str) -> Piece:
    return _drawing(key, block, scheme) if isinstance(block, Drawing) else piece(key, blocks.block(block))


def _drawing(key: str, one: Drawing, scheme: str) -> Piece:
    """A figure below its answer, as high as it will be before it is drawn."""
    figure: dict[str, Any] = json.loads(one.figure.to_json())
    layout = figure["layout"]
    layout["template"] = themes()[scheme]
    layout["uirevision"] = KEPT
    style = {"height": f"{layout['height']}px", "minWidth": f"{layout['meta']['min_width']}px"}
    # Named for what it draws: another figure in its place is another element.
    answer, graph = f"{key}-{one.key}-answer", f"{key}-{one.key}"
    drawn = dcc.Graph(id=graph, figure=figure, responsive=True, config={"displaylogo": False}, style=style)
    component = html.Figure(
        [html.Figcaption(one.answer, id=answer), html.Div(drawn, className="wide")], id=f"{graph}-piece"
    )
    changing = {
        (answer, "children"): one.answer,
        (graph, "figure"): _patch(figure),
        (graph, "style"): style,
    }
    return Piece(f"{graph}-piece", component, changing, digest([one.answer, figure]))


def _patch(figure: dict[str, Any]) -> Patch:
    """The figure's data, and of its layout and axes what it says itself: a reader's zoom is not in there.

    dcc.Graph writes a zoom into its figure, and a whole new figure would undo it, whatever its `uirevision`.
    """
    patch = Patch()
    patch["data"] = figure["data"]
    for name, value in figure["layout"].items():
        if name.startswith(("xaxis", "yaxis")):
            for key, said in value.items():
                patch["layout"][name][key] = said
        else:
            patch["layout"][name] = value
    return patch


def digest(content: Any) -> str:
    """The same text for the same content."""
    return hashlib.sha256(to_json_plotly(content).encode()).hexdigest()[:16]
