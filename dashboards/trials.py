"""The tab of the trials: a table that is sorted, filtered and cut on the server, and one trial in full.

Every order, filter and page is a link, so the keyboard reaches it and its URL can be shared.
"""

from collections.abc import Iterable

from dash import dcc, html
from dash.development.base_component import Component

from dashboards import screens
from dashboards.address import Address
from dashboards.screens import Screen
from sweeper.analysis.live import Followed, Listing, listing, tabs
from sweeper.analysis.live.listing import Column, choices

ANY = "all"


def trials(followed: Followed, address: Address) -> Screen:
    """The page of the table that the address asks for, with its filters."""
    experiment = followed.overview.experiment
    found = listing(followed.trials, experiment, address.wanted)
    filters = [_filter(key, values, address) for key, values in choices(experiment).items()]
    return screens.plain(
        [
            screens.piece("trials-filters", [html.H2("Trials"), *filters]),
            screens.piece("trials-pages", _pages(found, address)),
            screens.piece("trials-table", html.Div(_table(found, address), className="wide", tabIndex=0)),
        ]
    )


def _filter(key: str, values: Iterable[str], address: Address) -> Component:
    now = getattr(address.wanted, key)
    links = [
        link(value or ANY, address.wanting(**{key: value}), is_on=now == value, kind="chip")
        for value in ("", *values)
    ]
    return html.Nav([html.Span(key, className="name"), *links], className="chips", **{"aria-label": key})


def link(text: str, address: Address, *, is_on: bool, kind: str) -> Component:
    """A link within the page that says, not by its colour alone, whether it is where the page is."""
    words = [text, html.Span(" (shown)", className="unseen")] if is_on else text
    return dcc.Link(words, href=address.href, className=f"{kind} on" if is_on else kind)


def detail(followed: Followed, address: Address, scheme: str) -> Screen:
    """The one trial that the address asks for."""
    close = dcc.Link("Close", href=address.about("").href, className="chip")
    found = tabs.one_trial(address.trial, followed)
    if found is None:
        line = html.P(f"There is no trial {address.trial}.", className="missing")
        return screens.plain([screens.piece("detail-none", [line, close])])
    shown = screens.of_sections([found], scheme)
    return Screen(html.Div([shown.component, close], className="detail"), shown.pieces)


def _pages(found: Listing, address: Address) -> Component:
    pages = {"first": 1, "earlier": found.earlier, "later": found.later, "last": found.n_pages}
    links = [
        dcc.Link(text, href=address.wanting(page=page).href, className="chip")
        for text, page in pages.items()
        if page is not None and page != found.page
    ]
    count = html.Span(found.words, className="count")
    return html.Nav([count, *links], className="chips", **{"aria-label": "pages"})


def _table(found: Listing, address: Address) -> Component:
    heads = [html.Th(_heading(each, address), scope="col", **_kind(each)) for each in found.columns]
    rows = []
    for row in found.rows:
        key = dcc.Link(row.key, href=address.about(row.key).href)
        cells = [html.Th(key, scope="row", className="word")]
        cells += [
            html.Td(text, **_kind(column))
            for column, text in zip(found.columns[1:], row.cells[1:], strict=True)
        ]
        is_shown = row.key == address.trial
        rows.append(html.Tr(cells, className=f"is-{row.state}" + (" shown" if is_shown else "")))
    return html.Table([html.Thead(html.Tr(heads)), html.Tbody(rows)])


def _heading(column: Column, address: Address) -> Component:
    wanted = address.wanted
    is_by_this = wanted.sort == column.name
    mark = (" ▾" if wanted.descending else " ▴") if is_by_this else ""
    there = address.wanting(sort=column.name, descending=is_by_this and not wanted.descending)
    return dcc.Link(column.heading + mark, href=there.href, className="sort")


def _kind(column: Column) -> dict[str, str]:
    return {"className": "word"} if column.is_text else {}
