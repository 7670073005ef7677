"""The list of all sweeps."""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboards import head as header
from dashboards import screens
from dashboards.address import Address
from dashboards.screens import Screen
from sweeper.analysis import live
from sweeper.analysis.live import Overview

HEADINGS = ("sweep", "state", "trials ended", "best so far", "workers", "time left", "held by", "begun")


def head(store: str) -> Screen:
    """What the list is of."""
    where = html.P(f"in {store}", className="quiet")
    return screens.plain([screens.piece("list-of", [html.H1("Sweeps"), where])])


def table(overviews: Sequence[Overview], find: str) -> Screen:
    """The sweeps whose names hold `find`, newest first."""
    return screens.plain([screens.piece("list", _table(overviews, live.named(overviews, find), find))])


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
    told = live.told(overview)
    cells = (header.state(overview), header.progress(overview), *told)
    return html.Tr(
        [html.Th(name, scope="row", className="word")]
        + [
            html.Td(cell, className="word", **{"data-label": heading})
            for heading, cell in zip(HEADINGS[1:], cells, strict=True)
        ]
    )
