"""A database's password that lies in a file, as containers get their secrets: in no URL, in no arguments."""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from sweeper.errors import StoreError
from sweeper.store.url import Location, shown

VARIABLE = "SWEEPER_STORE_PASSWORD_FILE"
"""The environment variable that names the file."""


def read_from_file(engine: sa.Engine, location: Location) -> None:
    """Let every new connection take its password from the file that the environment names.

    A password in the URL wins over it, and it wins over libpq's own sources. The file is read anew each time,
    so one that was replaced counts from the next connection on.
    """
    if "password" in location.secrets or "passfile" in location.url.query:
        return

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        found = password(location)
        # A connection of our own making: SQLAlchemy would keep what is put into `parameters`.
        return None if found is None else dialect.connect(*arguments, **parameters, password=found)


def password(location: Location) -> str | None:
    """What the file holds, without the end of its line; None where the environment names no file.

    Raises StoreError where it can't be read or is empty.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    where = f"store {shown(location.url)}: its password is looked for in {named} ({VARIABLE})"
    try:
        return content(Path(named))
    except ValueError as error:
        raise StoreError(f"{where}{error}") from None


def content(file: Path) -> str:
    """The password that the file holds, without the end of its line.

    Raises ValueError, whose text goes on after the file's name, where it can't be read or holds none.
    """
    try:
        found = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f": {error.strerror}") from None
    except ValueError:  # what stands in it is not quoted
        raise ValueError(", which is no text") from None
    if not found:
        raise ValueError(", which is empty")
    return found
