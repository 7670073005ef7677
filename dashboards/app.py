"""The live page, put together: a Dash app over one store, of which nothing but reading is asked."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
from dash import Dash, dcc, html
from dash.development.base_component import Component
from markupsafe import Markup

from dashboards import callbacks, downloads, guard, head, listed
from dashboards.address import parse
from dashboards.markup import markup
from sweeper.analysis.live import Watch, tabs
from sweeper.errors import NotFoundError, SweeperError

PULSE_MS = 2_000
"""How often a page asks for news."""

HERE = Path(__file__).parent
INDEX = HERE.joinpath("index.html").read_text(encoding="utf-8")


class Page(Dash):  # type: ignore[misc]
    """Dash, whose first answer already shows what there is to see, before any script runs."""

    def __init__(self, watch: Watch, server: flask.Flask) -> None:
        super().__init__(
            "dashboards",
            server=server,
            index_string=INDEX,
            title="Sweeper",
            update_title="",
            assets_folder=str(HERE.joinpath("assets")),
            external_stylesheets=[downloads.STYLE],
            enable_mcp=False,
            add_log_handler=False,
            suppress_callback_exceptions=True,
        )
        self._watch = watch
        self._ahead = ThreadPoolExecutor(max_workers=1)
        self.layout = layout()
        self._drawn = callbacks.Drawn()
        callbacks.register(self, watch, self._drawn)

    def interpolate_index(self, **parts: Any) -> str:
        """The page's HTML, with the list of sweeps or the summary of the one that its path names."""
        address = parse(flask.request.path, flask.request.query_string.decode("utf-8", "replace"))
        title = "Sweeper"
        try:
            if address.sweep is not None:  # while the browser loads its scripts
                self._ahead.submit(tabs.parts, address.tab, self._watch.sweep(address.sweep))
            first = markup(callbacks.front(self._watch, address, self._drawn).component)
            if address.sweep is None:
                first += markup(listed.table(self._watch.sweeps(), address.wanted.find).component)
            else:
                title = Markup("{} · Sweeper").format(address.sweep)
        except SweeperError as error:
            flask.g.status = 404 if isinstance(error, NotFoundError) else 503
            first = markup(head.missing(str(error)).component)
        page: str = super().interpolate_index(**{**parts, "title": title, "app_entry": ENTRY})
        return page.replace("<!-- first -->", first, 1)


ENTRY = '<div id="react-entry-point"></div>'


def layout() -> Component:
    """What every page consists of; callbacks fill it."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="pulse", interval=PULSE_MS),
            *(dcc.Store(id=key) for key in ("scheme", "news", "head-seen", "seen")),
            html.P(id="notice", className="notice", role="status"),
            html.Main(
                [
                    html.Div(id="head"),
                    html.Div(id="tabs"),
                    html.Label(
                        ["Search ", dcc.Input(id="find", type="search", debounce=0.4, value="")],
                        id="finding",
                        hidden=True,
                    ),
                    html.Div(id="detail"),
                    html.Div(html.P("Computing the statistics ...", className="missing"), id="tab"),
                ]
            ),
        ]
    )


def make(watch: Watch, *, token: str | None = None, hosts: frozenset[str] = guard.LOCAL) -> flask.Flask:
    """The server's application for the sweeps that `watch` looks at.

    With a `token` everyone needs it; without one only requests for one of `hosts` are answered.
    """
    server = flask.Flask("dashboards", static_folder=None)
    downloads.register(server, watch)
    page = Page(watch, server)
    guard.Guard(scripts=page.csp_hashes(), token=token, hosts=hosts).protect(server)
    return server
