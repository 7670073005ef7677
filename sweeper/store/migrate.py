"""The store's schema: made in an empty database, checked in every other, brought up to date on request."""

import re
from pathlib import Path

import sqlalchemy as sa

from sweeper.errors import LeaseHeldError, NotFoundError, StoreError
from sweeper.store import lease
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.failures import translated
from sweeper.store.schema import metadata, sweeps
from sweeper.store.url import Location, parse, shown

EMPTY = ""
"""The revision of a database without any table."""

HEAD = "0003"
"""The newest migration; a test holds it against `migrations/`."""

PATIENCE_S = 30.0
"""Half of this is how long a change of the schema waits for locks."""

revisions = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic keeps the schema's revision."""

ADVISORY_LOCK = int.from_bytes(b"sweeper", "big")
"""PostgreSQL's, for whoever changes the schema."""


def ensure_schema(engine: sa.Engine, location: Location, *, create: bool) -> bool:
    """Whether there is a store; an empty database is made one if `create`.

    Raises StoreError where the schema is older or newer than this version's, or is something else's.
    """
    revision = _read_revision(engine)
    if revision == EMPTY and create:
        _migrate(engine, location, EMPTY)
        revision = _read_revision(engine)
    if revision == EMPTY:
        return False
    if _known(revision, location) != HEAD:
        where = shown(location.url)
        raise StoreError(
            f"store {where}: its schema is {revision}, and this version of Sweeper needs {HEAD}; "
            f"`sweeper store upgrade --store '{where}'` brings it up to date"
        )
    return True


def upgrade(url: str) -> tuple[str, str]:
    """Bring the store at `url` up to date: the revisions of its schema before and after.

    An empty PostgreSQL database, which somebody made, becomes a store; no SQLite file is made, for its name
    may be a slip. Raises NotFoundError where there is no such file, LeaseHeldError while a coordinator runs
    one of its sweeps, and StoreError where the schema is newer than this version's, or is something else's.
    """
    location = parse(url)
    engine = reading(location) if location.exists else None
    try:
        before = _known(_read_revision(engine), location) if engine else EMPTY
        if engine is None or (before == EMPTY and location.is_sqlite):
            raise NotFoundError(f"store {shown(location.url)}: there is none yet; `sweeper run` makes one")
        if before != HEAD:
            _migrate(engine, location, before)
        return before, HEAD
    finally:
        if engine:
            engine.dispose()


def _known(revision: str | None, location: Location) -> str:
    """The revision, if it is one that this version knows."""
    if revision is None:
        raise StoreError(
            f"store {shown(location.url)}: its schema is not one of Sweeper; name another database"
        )
    if revision > HEAD:
        raise StoreError(
            f"store {shown(location.url)}: its schema is {revision}, newer than the {HEAD} that this "
            f"version of Sweeper knows; the version that made it is needed"
        )
    return revision


def _read_revision(engine: sa.Engine) -> str | None:
    with translated(engine.url), engine.connect() as connection:
        return _revision(connection)


def _revision(connection: sa.Connection) -> str | None:
    """The schema's revision: EMPTY without any table, None where the tables are not Sweeper's."""
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return EMPTY
    if not {"alembic_version", "sweeps"} <= set(tables):
        return None
    revision = connection.scalar(sa.select(revisions.c.version_num))
    return revision if revision and re.fullmatch(r"\d{4}", revision) else None


def _migrate(engine: sa.Engine, location: Location, known: str) -> None:
    """Make the schema the newest, whole or not at all, unless someone else just did.

    Two processes may come at the same moment: whoever holds the lock looks again before it changes anything.
    """
    writing = WritingConnection(location, PATIENCE_S, engine)
    try:
        with writing.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's transaction has the file to itself
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
            if _revision(connection) == known:
                if known == EMPTY:
                    _make(connection)
                else:
                    _shut_out_coordinators(connection)
                    _to_head(connection)
    finally:
        writing.close()


def _make(connection: sa.Connection) -> None:
    """What all migrations make of an empty database, at once: a first sweep need not wait for Alembic."""
    metadata.create_all(connection, checkfirst=False)  # it would pass over a view of a table's name
    revisions.create(connection)
    connection.execute(revisions.insert(), {"version_num": HEAD})


def _shut_out_coordinators(connection: sa.Connection) -> None:
    """Refuse while one lives, and fence those that were thought dead: they write as the old schema wants it.

    Only columns of the first schema are named.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE sweeps IN ACCESS EXCLUSIVE MODE"))
    owners = (sweeps.c.owner_host, sweeps.c.owner_pid, sweeps.c.owner_started, sweeps.c.lease_expires)
    query = sa.select(sweeps.c.name, *owners, lease.NOW.label("now")).order_by(sweeps.c.id)
    for row in connection.execute(query).mappings():
        if (living := lease.holder(row, row["now"])) is not None:
            raise LeaseHeldError(
                f"sweep {row['name']!r} is being run by {living}: a store is upgraded while none of its "
                f"sweeps is run; end it by Ctrl-C, upgrade, and resume it"
            )
    fenced = {"lease_token": sweeps.c.lease_token + 1, "version": sweeps.c.version + 1, "lease_expires": None}
    connection.execute(sa.update(sweeps).values(**fenced))


def _to_head(connection: sa.Connection, revision: str = "head") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
