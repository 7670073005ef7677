"""What a report is made of, whatever it is written as: text, tables, figures and lines to copy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Union

from plotly.graph_objects import Figure

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """A list of short statements."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """What the report cannot give, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under headings; the columns in `words` hold words, the others numbers."""

    headings: Row
    rows: tuple[Row, ...]
    title: str = ""
    words: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure; its computed answer stands in `layout.meta`."""

    key: str
    figure: Figure

    @property
    def answer(self) -> str:
        """What the figure shows, in words."""
        return str((self.figure.layout.meta or {}).get("answer", ""))


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    text: str
    language: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to watch out for, with the line to paste that does something about it."""

    text: str
    line: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that are shown when asked for."""

    title: str
    blocks: tuple["Block", ...]


Block = Union[Text, Points, Missing, Table, Drawing, Code, Warned, Folded]  # noqa: UP007 - refers to itself


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report: its title, a line below it, and its parts."""

    title: str
    subtitle: str
    sections: tuple[Section, ...] = field(default=())


def section(key: str, title: str, *blocks: Block | None) -> Section:
    """A section of the blocks that there are."""
    return Section(key, title, tuple(block for block in blocks if block is not None))


def table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = (0,)
) -> Table:
    """A table; `words` are the numbers of the columns that hold words."""
    return Table(tuple(headings), tuple(tuple(row) for row in rows), title, frozenset(words))
