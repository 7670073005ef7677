"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

from sweeper.cli import (
    answers,
    cluster,
    dashboard,
    data,
    exchange,
    lecture,
    plan,
    repeat,
    report,
    upkeep,
)
from sweeper.cli.app import app


def main() -> None:
    """The `sweeper` command."""
    app()


__all__ = [
    "answers",
    "app",
    "cluster",
    "dashboard",
    "data",
    "exchange",
    "lecture",
    "main",
    "plan",
    "repeat",
    "report",
    "upkeep",
]
