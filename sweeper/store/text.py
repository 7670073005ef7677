"""Text columns that take any text, the same on every database."""

import re

import sqlalchemy as sa

_NO_DATABASE_TAKES = re.compile("[\\x00\\ud800-\\udfff]")
"""NUL, which PostgreSQL refuses, and halves of characters, which are no UTF-8: SQLite refuses them too."""


def kept(text: str) -> str:
    r"""What the store makes of a text: an escape, such as `\x00`, for what no database takes."""
    return _NO_DATABASE_TAKES.sub(_escape, text)


class _Escaping(sa.TypeDecorator[str]):
    r"""Text in which a character that databases refuse is kept as its escape, such as `\x00`.

    So an error message from outside never keeps a trial from being recorded, and asking for a name that no
    row can have finds none.
    """

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """To the database."""
        return None if value is None else kept(value)


class AnyText(_Escaping):
    """Text of any length."""

    impl = sa.Text
    cache_ok = True


class AnyName(_Escaping):
    """Text of a bounded length."""

    impl = sa.String
    cache_ok = True


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
