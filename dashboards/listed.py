"""The list of all sweeps."""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboards import head
from dashboards.address import Address
from sweeper.analysis import live
from sweeper.analysis.live import Overview

HEADINGS = ("sweep", "state", "trials ended", "best so far", "workers", "time left", "held by", "begun")


def listed(overviews: Sequence[Overview], find: str, store: str) -> Component:
    """The sweeps whose names hold `find`, newest first."""
    found = live.named(overviews, find)
    return html.Div(
        [html.H1("Sweeps"), html.P(f"in {store}", className="quiet"), _table(overviews, found, find)]
    )


def _table(overviews: Sequence[Overview], found: Sequence[Overview], find: str) -> Component:
    if not overviews:
        return html.P(
            ["No sweeps yet: ", html.Code("sweeper run experiments/quickstart.toml"), " makes one."],
            className="missing",
        )
    if not found:
        return html.P(f"No sweep's name holds {find!r}.", className="missing")
    heads = html.Thead(html.Tr([html.Th(text, scope="col", className="word") for text in HEADINGS]))
    return html.Div(
        html.Table([heads, html.Tbody([_row(each) for each in found])], className="cards"),
        className="wide",
        tabIndex=0,
    )


def _row(overview: Overview) -> Component:
    name = html.A(overview.info.name, href=Address(overview.info.name).href)
    bars = [head.arm(each) for each in overview.arms]
    if overview.n_finals:
        finals = live.counted_finals(overview)
        bars.append(head.bar("finals", finals, overview.n_finals_done, overview.n_finals))
    told = live.told(overview)
    cells = (head.state(overview), html.Div(bars, className="arms"), *told)
    return html.Tr(
        [html.Th(name, scope="row", className="word")]
        + [
            html.Td(cell, className="word", **{"data-label": heading})
            for heading, cell in zip(HEADINGS[1:], cells, strict=True)
        ]
    )
