"""Where the images are, and how to get them."""

from pathlib import Path

import typer

from sweeper.errors import DataError, UsageError
from sweeper.printable import printable
from sweeper.training import cifar, data


def print_info(named: Path | None) -> None:
    """Say where CIFAR-10 and CIFAR-100 are looked for and what is there.

    Raises DataError where both are missing, or one is damaged.
    """
    directory = data.directory(named) or cifar.cache_directory()
    found = {name: cifar.find(archive, directory) for name, archive in cifar.ARCHIVES.items()}
    absent = {name: f"{name}: {cifar.ARCHIVES[name].absence}" for name, path in found.items() if path is None}
    if len(absent) == len(found):
        raise DataError(f"{'; '.join(absent.values())} in {directory}")
    for name, path in found.items():
        if path is None:
            typer.echo(printable(f"{absent[name]} in {directory}"))
        else:
            train, test = cifar.read(cifar.ARCHIVES[name], path)
            whole = f"{len(train):,} training and {len(test):,} test images in {path}, whole"
            typer.echo(printable(f"{name}: {whole}"))


def fetch(name: str, named: Path | None) -> None:
    """Download the data set `name`, unless it is there."""
    archive = cifar.ARCHIVES.get(name)
    if archive is None:
        raise UsageError(f"data set {name!r}: must be one of {', '.join(cifar.ARCHIVES)}")
    directory = data.directory(named) or cifar.cache_directory()
    found = cifar.find(archive, directory)
    typer.echo(printable(f"{found} is there already" if found else str(cifar.fetch(archive, directory))))
