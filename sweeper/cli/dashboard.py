"""The live page: every sweep of a store, while it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.app import StoreOption, app, reported
from sweeper.errors import UsageError

TOKEN = "SWEEPER_TOKEN"
TOKEN_FILE = "SWEEPER_TOKEN_FILE"
PORT = 8050


@app.command(epilog="Example: sweeper dashboard --store sqlite:///sweeper.db --port 8050")
@reported
def dashboard(
    host: Annotated[
        str,
        typer.Option("--host", metavar="H", help="Where to listen. Another than this machine needs a token."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="The port; 0 for any free one.")
    ] = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="T",
            help=f"Whoever opens the page must know it. Else {TOKEN}, or the file that {TOKEN_FILE} names, "
            "which other users of this machine don't see.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Open a page that shows every sweep while it runs, per optimizer, with the report's own numbers.

    It only reads. A sweep is at /sweeps/NAME.
    """
    secret = _token(token)
    if secret is None and host not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError(
            f"--host {host}: others could open the page there, so it wants a token: --token or {TOKEN}"
        )
    try:
        from dashboards import app as page
        from dashboards import serving
    except ImportError as error:
        raise UsageError(
            f"dashboard: {error.name} is not installed: pip install 'sweeper[dashboard]'"
        ) from None
    from sweeper.analysis.live import Watch
    from sweeper.api.sweep import store_url

    watch = Watch(store_url(store))
    watch.sweeps()  # a store that can't be opened is told here, not on a page

    def listening(where: str) -> None:
        typer.echo(f"sweeper: the sweeps of {watch.url} are at {where} (Ctrl-C ends the page)", err=True)

    serving.serve(page.make(watch, token=secret), host, port, listening)


def _token(given: str | None) -> str | None:
    """The token to ask for, if any. Raises UsageError where its file can't be read or it is empty."""
    found = given if given is not None else os.environ.get(TOKEN)
    named = os.environ.get(TOKEN_FILE)
    if found is None and named:
        try:
            found = Path(named).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"{TOKEN_FILE} {named}: can't be read: {error}") from None
    if found is not None and not found.strip():
        raise UsageError("the token is empty: give one, or none at all")
    return found
