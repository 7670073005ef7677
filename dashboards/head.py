"""What stands above the tabs of a sweep's page: how far it is, what it has cost, and the summary."""

from dash import html
from dash.development.base_component import Component

from dashboards import screens
from dashboards.address import Address
from dashboards.screens import Screen
from sweeper.analysis import live
from sweeper.analysis.live import Followed, Overview, tabs


def head(followed: Followed) -> Screen:
    """The header of a sweep and its summary per optimizer."""
    overview = followed.overview
    address = Address(overview.info.name)
    standing = screens.of_sections([tabs.standing(followed)], "light")
    own = screens.plain(
        [
            screens.piece("head-up", html.P(html.A("All sweeps", href=Address().href), className="up")),
            screens.piece("head-title", html.H1([overview.info.name, " ", state(overview)])),
            screens.piece("head-subject", html.P(live.subject(overview), className="quiet")),
            screens.piece("head-progress", progress(overview)),
            screens.piece("head-facts", html.P(" · ".join(live.facts(followed)), className="quiet")),
            screens.piece("head-files", html.P(downloads(address), className="files")),
        ]
    )
    return Screen(html.Div([own.component, standing.component]), (*own.pieces, *standing.pieces))


def missing(line: str) -> Screen:
    """What stands there instead where there is no such sweep, or it can't be read."""
    up = html.P(html.A("All sweeps", href=Address().href), className="up")
    return screens.plain([screens.piece("missing", [up, html.P(line, className="missing", role="alert")])])


def state(overview: Overview) -> Component:
    """The sweep's state as a badge; the word itself says it, not its colour alone."""
    return html.Span(str(overview.info.state), className=f"state {overview.info.state}")


def progress(overview: Overview) -> Component:
    """A bar per optimizer, and one for the finals; one for all optimizers where they are done."""
    bars = [bar(*each) for each in live.bars(overview)]
    return html.Div(bars, className="arms")


def bar(name: str, words: str, done: int, total: int | None) -> Component:
    """A bar with its name and its count; without a total only these."""
    drawn = html.Progress(value=str(done), max=str(total), **{"aria-label": name}) if total else None
    return html.Div([html.Span(name, className="name"), drawn, html.Span(words, className="count")])


def downloads(address: Address) -> list[Component | str]:
    """Links to the sweep's files."""
    files = {"report.html": "report", "trials.csv": "trials (csv)", "epochs.csv": "epochs (csv)"}
    links = [html.A(title, href=f"{address.path}/{file}", download=True) for file, title in files.items()]
    return ["Download: ", *(part for link in links for part in (link, " "))]
