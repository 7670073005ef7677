"""What typer itself refuses, such as an unknown option, told in one line like every other error."""

import contextlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from sweeper.printable import one_line

REFUSED: type[Exception] = typer.BadParameter.__mro__[2]
"""The base class of typer's own errors, which has had several homes."""


class Commands(TyperGroup):
    """Sweeper's commands."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command, and, unless `standalone_mode` is False, exit with its status."""
        is_standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        if not is_standalone:
            return super().main(*args, **options)
        _show_what_can_be_shown()
        try:
            status = super().main(*args, **options)
        except REFUSED as error:
            _tell(error)
            sys.exit(getattr(error, "exit_code", 2))
        except typer.Abort:
            sys.exit(130)
        sys.exit(status if isinstance(status, int) else 0)


def _show_what_can_be_shown() -> None:
    """A character that the output's encoding lacks is shown as its escape, as on stderr."""
    with contextlib.suppress(AttributeError):  # whatever stands in for stdout
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _tell(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is printed already
        return
    context = getattr(error, "ctx", None)
    hint = f"; `{context.command_path} --help` shows what is legal" if context else ""
    typer.echo(f"sweeper: {one_line(error.format_message().rstrip('.'))}{hint}", err=True)
