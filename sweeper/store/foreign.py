"""Databases of other programs, which are to stay apart from a store."""

import sqlalchemy as sa
from sqlalchemy import exc

from sweeper.errors import UsageError
from sweeper.store.schema import sweeps
from sweeper.store.url import without_password


def require_foreign(url: str) -> None:
    """Raises UsageError where the database at `url` is a store: its tables and another program's would mix.

    A database that can't be opened is none; who opens it says so.
    """
    try:
        engine = sa.create_engine(url)
    except (exc.SQLAlchemyError, ImportError, ValueError):
        return
    try:
        with engine.connect() as connection:
            is_store = sa.inspect(connection).has_table(sweeps.name)
    except exc.SQLAlchemyError:
        return
    finally:
        engine.dispose()
    if is_store:
        raise UsageError(f"{without_password(url)}: is a store of Sweeper; give another database")
