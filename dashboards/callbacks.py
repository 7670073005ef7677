"""Brings pages up to date: asks the store for news, and draws only what differs from what is seen."""

import functools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, html, no_update
from dash.development.base_component import Component

from dashboards import head, lecture, listed, screens, trials
from dashboards.address import Address, parse
from dashboards.screens import Screen, Seen, brought
from sweeper.analysis.live import TABS, Followed, Watch, tabs
from sweeper.errors import NotFoundError, StoreAwayError, SweeperError

LOG = logging.getLogger("dashboards")

PAUSES_S = (0.1, 0.3)

KEPT = 48
"""So many tabs are kept as they were drawn, for all pages together."""


class Drawn:
    """What was drawn last, for all pages together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, ...], Screen] = OrderedDict()

    def get(self, key: tuple[str, ...], draw: Callable[[], Screen]) -> Screen:
        """What was drawn for `key`; drawn now if it was not."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = draw()
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def told(default: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets a callback say what went wrong where it would draw; `default` makes its answer of that line."""

    def decorated(callback: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(callback)
        def answered(*arguments: Any) -> Any:
            for pause_s in (*PAUSES_S, None):
                try:
                    return callback(*arguments)
                except SweeperError as error:
                    if pause_s is None or not isinstance(error, StoreAwayError):
                        return default(str(error))
                    time.sleep(pause_s)  # a file that was just written may be read a moment later
                except Exception:
                    LOG.exception("the page can't show this: %s", arguments)
                    return default("This can't be shown, by a mistake in Sweeper: its log says more.")
            raise AssertionError("unreachable")

        return answered

    return decorated


def register(app: Dash, watch: Watch, drawn: Drawn) -> None:
    """All callbacks of the page."""
    app.clientside_callback(
        ClientsideFunction("sweeper", "scheme"), Output("scheme", "data"), Input("url", "pathname")
    )
    _look(app, watch)
    _head(app, watch, drawn)
    _body(app, watch, drawn)
    _find(app)


def _look(app: Dash, watch: Watch) -> None:
    """The pulse: is there news? Nothing else asks the store by itself, and a finished sweep has no pulse."""

    @app.callback(
        Output("news", "data"),
        Output("notice", "children"),
        Output("pulse", "disabled"),
        Input("pulse", "n_intervals"),
        Input("url", "pathname"),
        State("news", "data"),
        State("notice", "children"),
    )
    @told(lambda line: (no_update, f"{line}. What is shown may be old; trying again.", False))
    def look(_: int, path: str, known: str | None, notice: str | None) -> tuple[Any, Any, bool]:
        name = parse(path, "").sweep
        try:
            news = f"{name or ''} {watch.news(name)}"
            is_over = name is not None and watch.sweep(name).overview.is_over
        except NotFoundError:
            news, is_over = f"{name} is not there", False
        return no_update if news == known else news, None if notice else no_update, is_over


def _head(app: Dash, watch: Watch, drawn: Drawn) -> None:
    @app.callback(
        Output("head", "children"),
        Output("head-seen", "data"),
        Input("news", "data"),
        State("url", "pathname"),
        State("head-seen", "data"),
        prevent_initial_call=True,
    )
    @told(lambda line: (head.missing(line).component, None))
    def show(news: str | None, path: str, seen: Seen | None) -> tuple[Any, Any]:
        if news is None:
            return no_update, no_update
        screen = front(watch, parse(path, ""), drawn)
        return brought(screen, seen), no_update if screen.seen == seen else screen.seen


def front(watch: Watch, address: Address, drawn: Drawn) -> Screen:
    """What stands at the top of a page: what the list is of, or a sweep's header with its summary."""
    if address.sweep is None:
        return listed.head(watch.url)
    followed = watch.sweep(address.sweep)
    return drawn.get((str(followed.moment), "head"), lambda: head.head(followed))


def _body(app: Dash, watch: Watch, drawn: Drawn) -> None:
    @app.callback(
        Output("tabs", "children"),
        Output("detail", "children"),
        Output("tab", "children"),
        Output("seen", "data"),
        Input("news", "data"),
        Input("url", "search"),
        Input("scheme", "data"),
        State("url", "pathname"),
        State("seen", "data"),
        prevent_initial_call=True,
    )
    @told(lambda line: (no_update, None, html.P(line, className="missing"), None))
    def show(
        news: str | None, search: str, scheme: str | None, path: str, seen: dict[str, Any] | None
    ) -> tuple[Any, ...]:
        if news is None or scheme not in ("light", "dark"):
            return no_update, no_update, no_update, no_update
        address = parse(path, search)
        places = _places(watch, address, scheme, drawn)
        before = seen or {}
        # A figure that is shown in other colours is another one.
        is_same = before.get("scheme") == scheme
        fresh = [brought(screen, before.get(key) if is_same else None) for key, screen in places.items()]
        now = {"scheme": scheme, **{key: screen.seen for key, screen in places.items()}}
        return (*fresh, no_update if now == before else now)


def _places(watch: Watch, address: Address, scheme: str, drawn: Drawn) -> dict[str, Screen]:
    """What the tabs, the one trial and the tab's content are."""
    if address.sweep is None:
        return {"tabs": NOTHING, "detail": NOTHING, "tab": listed.table(watch.sweeps(), address.wanted.find)}
    followed = watch.sweep(address.sweep)
    return {
        "tabs": screens.plain([screens.piece("tabs-links", navigation(address))]),
        "detail": detail(followed, address, scheme, drawn),
        "tab": body(followed, address, scheme, drawn),
    }


NOTHING = screens.plain([])


def navigation(address: Address) -> Component:
    """The links to the tabs."""
    return html.Nav(
        [
            trials.link(tab.title, address.on(key), is_on=key == address.tab, kind="tab-link")
            for key, tab in TABS.items()
        ],
        className="tabs",
        **{"aria-label": "tabs"},
    )


def detail(followed: Followed, address: Address, scheme: str, drawn: Drawn) -> Screen:
    """The one trial that the address asks for."""
    if address.tab != "trials" or not address.trial:
        return NOTHING
    key = (str(followed.moment), "detail", address.href, scheme)
    return drawn.get(key, lambda: trials.detail(followed, address, scheme))


def body(followed: Followed, address: Address, scheme: str, drawn: Drawn) -> Screen:
    """What is on the address' tab."""
    if address.tab == "trials":
        return drawn.get((str(followed.moment), address.href), lambda: trials.trials(followed, address))
    key = (followed.edition, address.href, scheme)
    return drawn.get(key, lambda: _parts(followed, address, scheme))


def _parts(followed: Followed, address: Address, scheme: str) -> Screen:
    screen = screens.of_sections(tabs.parts(address.tab, followed), scheme)
    if address.tab != "lecture":
        return screen
    return Screen(html.Div([screen.component, lecture.landscape()]), screen.pieces)


def _find(app: Dash) -> None:
    """The one field: it becomes part of the URL, and the URL fills it."""

    @app.callback(
        Output("url", "search"),
        Output("find", "value"),
        Output("finding", "hidden"),
        Input("find", "value"),
        Input("url", "search"),
        State("url", "pathname"),
    )
    def find(words: str | None, search: str, path: str) -> tuple[Any, Any, bool]:
        address = parse(path, search)
        is_hidden = address.sweep is not None and address.tab != "trials"
        if ctx.triggered_id == "find" and (words or "") != address.wanted.find:
            return address.wanting(find=words or "").search, no_update, is_hidden
        return no_update, no_update if words == address.wanted.find else address.wanted.find, is_hidden
