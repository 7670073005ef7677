"""The report's blocks as components: the same texts, tables and figures that its page has."""

import json
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from sweeper.analysis.figures import themes
from sweeper.analysis.report import blocks

KEPT = "kept"
"""Zoom and hidden curves stay as long as a figure's `uirevision` does."""


def section(part: blocks.Section, scheme: str) -> Component:
    """A part of the report, in the colours of `scheme`, `light` or `dark`."""
    inner = [html.H2(part.title), *(block(one, scheme) for one in part.blocks)]
    return html.Section(inner, id=f"part-{part.key}", className="part")


def block(one: blocks.Block, scheme: str) -> Component:
    """One block, whatever kind it is."""
    match one:
        case blocks.Text(lines):
            return html.Div([html.P(line) for line in lines])
        case blocks.Points(lines):
            return html.Ul([html.Li(line) for line in lines])
        case blocks.Missing(why):
            return html.P(why, className="missing")
        case blocks.Table():
            return table(one)
        case blocks.Drawing():
            return drawing(one, scheme)
        case blocks.Code(text, language, title):
            lines = html.Pre(html.Code(text, className=language), tabIndex=0)
            return html.Div([html.H3(title), lines]) if title else lines
        case blocks.Warned(text, line):
            return html.Div([html.P(text), html.Pre(html.Code(line), tabIndex=0)], className="warned")
        case blocks.Folded(title, inner):
            return html.Details([html.Summary(title), *(block(each, scheme) for each in inner)])


def table(one: blocks.Table) -> Component:
    """A table with its headings; it scrolls by itself where it is too wide."""
    parts: list[Component] = [html.Caption(one.title)] if one.title else []
    if any(one.headings):
        heads = [html.Th(text, scope="col", **_kind(k, one)) for k, text in enumerate(one.headings)]
        parts.append(html.Thead(html.Tr(heads)))
    rows = [
        html.Tr(
            [html.Th(row[0], scope="row", **_kind(0, one))]
            + [html.Td(text, **_kind(k, one)) for k, text in enumerate(row) if k]
        )
        for row in one.rows
    ]
    return html.Div(html.Table([*parts, html.Tbody(rows)]), className="wide", tabIndex=0)


def _kind(column: int, one: blocks.Table) -> dict[str, str]:
    return {"className": "word"} if column in one.words else {}


def drawing(one: blocks.Drawing, scheme: str) -> Component:
    """A figure below its answer, as high as it will be before it is drawn."""
    figure: dict[str, Any] = json.loads(one.figure.to_json())
    layout = figure["layout"]
    layout["template"] = themes()[scheme]
    layout["uirevision"] = KEPT
    graph = dcc.Graph(
        id=f"figure-{one.key}",
        figure=figure,
        responsive=True,
        config={"displaylogo": False},
        style={"height": f"{layout['height']}px", "minWidth": f"{layout['meta']['min_width']}px"},
    )
    return html.Figure([html.Figcaption(one.answer), html.Div(graph, className="wide")])
