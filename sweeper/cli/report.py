"""The comparison that a sweep came to, as a file."""

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.app import StoreOption, app, reported
from sweeper.errors import UsageError
from sweeper.printable import printable


@app.command(epilog="Example: sweeper report cifar10-cnn --out cifar10-cnn.html")
@reported
def report(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="The sweep, or two of them, side by side.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where it goes; its suffix says the format. Else NAME.html; md and json go to stdout.",
        ),
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="html (the default), md or json.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write the comparison: verdict, finals, pairs, figures, warnings, costs and settings, on one page.

    An HTML report opens without network. Its trials are written beside it, as FILE.trials.csv.
    """
    from sweeper.api import reporting

    if format_ is not None and format_ not in reporting.FORMATS:
        raise UsageError(f"--format {format_}: must be one of {', '.join(reporting.FORMATS)}")
    chosen = format_ or ("html" if out is None else reporting.format_of(out))
    if out is None and chosen == "html":
        out = Path("-".join(names) + ".html")
    found = reporting.report(names, store)
    if out is None:
        typer.echo(reporting.written(found, chosen), nl=False)
        return
    for path in reporting.write(found, out, chosen):
        typer.echo(printable(str(path)))
