"""`sweeper data`: the commands that look after the images."""

from typing import Annotated

import typer

from sweeper.cli.app import DataOption, app, reported

data_app = typer.Typer(help="The images: where they are, and how to get them.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("info", epilog="Example: sweeper data info --data-dir data")
@reported
def data_info(data_dir: DataOption = None) -> None:
    """Say where the images are looked for, and whether they are there and whole."""
    from sweeper.cli import images

    images.print_info(data_dir)


@data_app.command("fetch", epilog="Example: sweeper data fetch cifar10 --data-dir data")
@reported
def data_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set: cifar10 or cifar100.")],
    data_dir: DataOption = None,
) -> None:
    """Download a data set (cifar10: 170 MB, cifar100: 169 MB), checked by its SHA-256."""
    from sweeper.cli import images

    images.fetch(name, data_dir)
