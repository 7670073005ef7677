"""What to take away from a sweep."""

from typing import Annotated

import typer

from sweeper.cli.app import StoreOption, app, reported
from sweeper.errors import UsageError
from sweeper.printable import one_line

FORMATS = ("toml", "python", "json")


@app.command(epilog="Example: sweeper best cifar10-cnn --optimizer adam --format python")
@reported
def best(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    optimizer: Annotated[
        str | None,
        typer.Option("--optimizer", metavar="O", help="Its best setting; else the search's leader's."),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="toml: a piece of an experiment file; python: lines of torch; json.",
        ),
    ] = "toml",
    store: StoreOption = None,
) -> None:
    """Print the best setting that a sweep found, ready to use."""
    import json

    from sweeper import api

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_}: must be one of {', '.join(FORMATS)}")
    found = api.load(name, store).best(optimizer)
    if found.experiment.imported and format_ != "json":
        raise UsageError(
            f"sweep {name!r} was imported: what its settings mean is not known; --format json shows them"
        )
    if not found.is_complete:
        typer.echo(f"sweeper: so far: sweep {one_line(name)} is not complete", err=True)
    if format_ == "json":
        typer.echo(json.dumps(found.record(), indent=2, allow_nan=False))
    else:
        typer.echo(found.toml() if format_ == "toml" else found.python(), nl=False)
