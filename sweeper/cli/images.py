"""`sweeper data`: where the images are, and how to get them."""

from pathlib import Path

import typer

from sweeper.errors import DataError, UsageError
from sweeper.training import cifar10, data


def print_info(named: Path | None) -> None:
    """Say where CIFAR-10 is looked for and what is there. Raises DataError where it is missing or damaged."""
    directory = data.directory(named) or cifar10.cache_directory()
    found = cifar10.find(directory)
    if found is None:
        raise DataError(f"cifar10: neither {cifar10.DIRECTORY}/ nor {cifar10.ARCHIVE} in {directory}")
    train, test = cifar10.read(found)
    typer.echo(f"cifar10: {len(train):,} training and {len(test):,} test images in {found}, whole")


def fetch(name: str, named: Path | None) -> None:
    """Download the data set `name`, unless it is there."""
    if name != "cifar10":
        raise UsageError(f"data set {name!r}: must be one of cifar10")
    directory = data.directory(named) or cifar10.cache_directory()
    found = cifar10.find(directory)
    typer.echo(f"{found} is there already" if found else cifar10.fetch(directory))
