"""The lecture's own commands: the rules with their properties, the gradient check, the landscapes."""

from pathlib import Path
from typing import Annotated

import typer

from sweeper.cli.app import JsonOption, app, reported
from sweeper.printable import printable


@app.command(epilog="Example: sweeper optimizers --json")
@reported
def optimizers(as_json: JsonOption = False) -> None:
    """List every optimizer: the lecture's properties, search space, untuned setting, torch class."""
    from sweeper import optimizers
    from sweeper.cli import registry

    if as_json:
        import json

        typer.echo(json.dumps(optimizers.properties(), indent=2))
    else:
        registry.print_arms()


@app.command(epilog="Example: sweeper gradcheck --model linear --loss hinge --all")
@reported
def gradcheck(
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help="One model only: linear, mlp, lenet, ...")
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="L", help="One loss only: cross_entropy or hinge.")
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every coordinate, not 100 of each tensor: slow, as the lecture says."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every model's and loss's gradient against numerical ones. Exit status 1 where one is wrong."""
    from sweeper.cli import gradients

    raise typer.Exit(gradients.check(model, loss, all_coordinates=every, as_json=as_json))


@app.command(epilog="Example: sweeper landscape --out landscape.html")
@reported
def landscape(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the page goes: one file, works offline.")
    ] = Path("landscape.html"),
) -> None:
    """Write a page on which the lecture's rules walk down loss landscapes."""
    from sweeper.errors import UsageError
    from sweeper.lab import landscape

    try:
        landscape.write(out)
    except OSError as error:
        raise UsageError(f"--out {out}: can't be written: {error.strerror}") from None
    typer.echo(f"{printable(str(out))}: open it in a browser")
