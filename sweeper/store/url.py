"""Where a store is: the database URL, kept apart from the passwords in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from sweeper.errors import StoreError

DEFAULT_URL = "sqlite:///sweeper.db"
LEGAL = "sqlite:///PATH, postgresql://USER@HOST/DB"
SQLITE = ("sqlite", "sqlite+pysqlite")
POSTGRESQL = ("postgresql", "postgresql+psycopg")
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
"""Options of a PostgreSQL URL that nobody may read."""


@dataclass(frozen=True, slots=True)
class Location:
    """A database that Sweeper can open. `url` holds no password, so it can't be printed with one."""

    url: sa.URL
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_read_only: bool = False
    """Whether the database itself shall refuse every write that comes from here."""

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; else it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database; None where there is none."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    @property
    def is_in_memory(self) -> bool:
        """Whether it is gone with this process."""
        return self.is_sqlite and self.path is None

    @property
    def exists(self) -> bool:
        """Whether there is a database to be read: a file with something in it, or a server to be asked."""
        if self.path is None:
            return True
        try:
            return self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError) as error:
            raise StoreError(f"store {shown(self.url)}: {getattr(error, 'strerror', error)}") from None

    @property
    def identity(self) -> tuple[int, int] | None:
        """Which file lies there now: its device and inode; None where there is none."""
        try:
            found = self.path.stat() if self.path else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None


def parse(text: str) -> Location:
    """The database that `text` names. Raises StoreError where it is none that Sweeper can open."""
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise StoreError(f"store {_masked(text)!r}: not a database URL; legal: {LEGAL}") from None
    if url.drivername in SQLITE:
        if url.host or url.query:
            raise StoreError(f"store {shown(url)}: a host or options mean nothing to SQLite; legal: {LEGAL}")
        return Location(url)
    if url.drivername in POSTGRESQL:
        return _postgresql(url)
    raise StoreError(f"store {shown(url)}: Sweeper knows no {url.drivername}; legal: {LEGAL}")


def _postgresql(url: sa.URL) -> Location:
    if "@" in (url.host or ""):
        raise StoreError(
            f"store postgresql://...: an @ in a user's name or password is written %40; legal: {LEGAL}"
        )
    secrets = {key: str(value) for key, value in url.query.items() if key in SECRETS}
    if url.password is not None:
        secrets["password"] = str(url.password)
    return Location(_public(url).set(drivername="postgresql+psycopg"), secrets)


def shown(url: sa.URL) -> str:
    """The URL as it may be printed, and as it can be given again: without its password."""
    public = _public(url)
    if public.drivername in POSTGRESQL:
        public = public.set(drivername="postgresql")
    return public.render_as_string()


def without_password(text: str) -> str:
    """A database URL of any kind as it may be printed."""
    try:
        return shown(sa.make_url(text))
    except (exc.ArgumentError, ValueError):
        return _masked(text)


def _public(url: sa.URL) -> sa.URL:
    without = sa.URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return without.set(query={key: value for key, value in url.query.items() if key not in SECRETS})


def _masked(text: str) -> str:
    """A text that is no URL, without what may be a password in it."""
    masked = re.sub(r"//.*@", "//***@", text, flags=re.DOTALL)
    return re.sub(r"([?&][^=&]*(?:password|secret|key)[^=&]*=)[^&]*", r"\1***", masked)
