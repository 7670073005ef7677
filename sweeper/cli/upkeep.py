"""The commands that keep a store in order: `delete`, `store upgrade` and `store reader`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.cli.app import StoreOption, app, reported
from sweeper.errors import UsageError
from sweeper.printable import printable

if TYPE_CHECKING:
    from sweeper.api.upkeep import Contents

store_app = typer.Typer(help="The store: the database that holds the sweeps.", no_args_is_help=True)
app.add_typer(store_app, name="store")


@app.command(epilog="Example: sweeper delete cifar10-cnn --yes")
@reported
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")],
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Delete a sweep: its trials, their epochs and their checkpoints. Asks first."""
    from sweeper.api import upkeep

    contents = upkeep.contents(name, store)
    lost = _described(contents)
    if not yes and not _is_confirmed(name, lost):
        typer.echo("nothing was deleted", err=True)
        return
    upkeep.delete(name, store)
    typer.echo(f"deleted {lost}")


@store_app.command("upgrade", epilog="Example: sweeper store upgrade --store sqlite:///sweeper.db")
@reported
def upgrade(store: StoreOption = None) -> None:
    """Bring a store that an older Sweeper made up to date. Its sweeps stay; none may be running.

    An empty PostgreSQL database becomes a store.
    """
    from sweeper.api import upkeep

    before, after = upkeep.upgrade(store)
    typer.echo(
        f"schema {after}: nothing to do" if before == after else f"schema {before or 'none'} -> {after}"
    )


@store_app.command(
    "reader", epilog="Example: sweeper store reader page --password-file secrets/page_password"
)
@reported
def reader(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role's name.")],
    password_file: Annotated[
        Path, typer.Option("--password-file", metavar="FILE", help="Holds the password that it shall have.")
    ],
    store: StoreOption = None,
) -> None:
    """Make a PostgreSQL role that may log in and read the store, and nothing else.

    Done again, it sets the role's rights and password anew. It takes a user who may make roles.
    """
    from sweeper.api import upkeep

    made = upkeep.make_reader(role, password_file, store)
    typer.echo(f"role {printable(role)}: {'made' if made else 'set anew'}; it may read the store")


def _described(contents: "Contents") -> str:
    sweep = contents.sweep
    return f"sweep {sweep.name} ({sweep.state}): {contents.n_trials} trials, {contents.n_epochs} epochs"


def _is_confirmed(name: str, lost: str) -> bool:
    if not _can_ask():
        raise UsageError(f"delete {name}: there is no terminal to ask on; --yes deletes {lost}")
    try:
        return typer.confirm(f"Delete {lost}?", err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _can_ask() -> bool:
    return sys.stdin.isatty()
