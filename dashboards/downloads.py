"""What is got from the page besides itself: a sweep's tables, its report, the lecture's page, the style."""

from collections.abc import Callable

import flask

from dashboards import lecture
from sweeper.analysis import tables
from sweeper.analysis.live import Followed, Watch, tabs
from sweeper.analysis.report import html
from sweeper.errors import NotFoundError, SweeperError

STYLE = "/report.css"
"""The report's own style, which the page shares."""

FILES: dict[str, tuple[str, Callable[[Followed], str]]] = {
    "trials.csv": ("text/csv", lambda followed: tables.csv_text(followed.trials)),
    "epochs.csv": ("text/csv", lambda followed: tables.csv_text(tabs.epochs(followed))),
    "report.html": ("text/html", lambda followed: tabs.report(followed).html()),
}


def register(server: flask.Flask, watch: Watch) -> None:
    """The routes; they come before Dash's own, which take every other path."""

    @server.get("/healthz")
    def health() -> flask.Response:
        return flask.Response("ok\n", mimetype="text/plain")

    @server.get(STYLE)
    def style() -> flask.Response:
        return flask.Response(html.style(), mimetype="text/css")

    @server.get(lecture.PATH)
    def landscape() -> flask.Response:
        return flask.Response(lecture.page(), mimetype="text/html")

    @server.get("/sweeps/<name>/<file>")
    def download(name: str, file: str) -> flask.Response:
        if file not in FILES:
            flask.abort(404)
        mimetype, written = FILES[file]
        text = written(watch.sweep(name))
        answer = flask.Response(text, mimetype=mimetype)
        answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.{file}")
        return answer

    @server.errorhandler(SweeperError)
    def refused(error: SweeperError) -> flask.Response:
        status = 404 if isinstance(error, NotFoundError) else 503
        return flask.Response(f"{error}\n", status=status, mimetype="text/plain")
