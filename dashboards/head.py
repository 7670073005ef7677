"""What stands above the tabs of a sweep's page: how far it is, what it has cost, and the summary."""

from dash import html
from dash.development.base_component import Component

from dashboards import blocks
from dashboards.address import Address
from sweeper.analysis import live
from sweeper.analysis.live import Followed, Overview, tabs


def head(followed: Followed) -> Component:
    """The header of a sweep and its summary per optimizer."""
    overview = followed.overview
    address = Address(overview.info.name)
    return html.Div(
        [
            html.P(html.A("All sweeps", href=Address().href), className="up"),
            html.H1([overview.info.name, " ", state(overview)]),
            html.P(live.subject(overview), className="quiet"),
            progress(overview),
            html.P(" · ".join(live.facts(followed)), className="quiet"),
            html.P(downloads(address), className="files"),
            blocks.section(tabs.standing(followed), "light"),
        ]
    )


def missing(line: str) -> Component:
    """What stands there instead where there is no such sweep, or it can't be read."""
    up = html.P(html.A("All sweeps", href=Address().href), className="up")
    return html.Div([up, html.P(line, className="missing", role="alert")])


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
