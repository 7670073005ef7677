"""A report as Markdown, for a pull request: texts and tables, and of each figure its answer."""

from collections.abc import Iterator

from sweeper.analysis.report.blocks import (
    Block,
    Code,
    Document,
    Drawing,
    Folded,
    Missing,
    Points,
    Table,
    Text,
    Warned,
)
from sweeper.printable import one_line

SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|~"})


def text(document: Document) -> str:
    """The document as GitHub-flavoured Markdown; what comes from outside is escaped."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.subtitle), ""]
    for part in document.sections:
        lines += [f"## {_plain(part.title)}", ""]
        for block in part.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _plain(line: str) -> str:
    return one_line(line).translate(SPECIAL)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        for number, line in enumerate(block.lines):
            yield from ["", _plain(line)] if number else [_plain(line)]
    elif isinstance(block, Points):
        yield from (f"- {_plain(line)}" for line in block.lines)
    elif isinstance(block, Missing):
        yield f"*{_plain(block.why)}*"
    elif isinstance(block, Drawing):
        yield f"{_plain(block.answer)} *(figure in the HTML report)*"
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Code):
        yield from _code(block)
    elif isinstance(block, Warned):
        yield f"- {_plain(block.text)}"
        yield from ["", *(f"  {line}" for line in _fenced(block.line, ""))]
    elif isinstance(block, Folded):
        yield from _folded(block)


def _table(block: Table) -> Iterator[str]:
    if block.title:
        yield from [f"**{_plain(block.title)}**", ""]
    yield f"| {' | '.join(_plain(heading) or ' ' for heading in block.headings)} |"
    kinds = (":--" if column in block.words else "--:" for column in range(len(block.headings)))
    yield f"| {' | '.join(kinds)} |"
    for row in block.rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _code(block: Code) -> Iterator[str]:
    if block.title:
        yield from [f"**{_plain(block.title)}**", ""]
    yield from _fenced(block.text, block.language)


def _fenced(code: str, language: str) -> list[str]:
    """The lines within a fence that is longer than any run of backquotes in them."""
    fence = "```"
    while fence in code:
        fence += "`"
    return [f"{fence}{language}", *code.split("\n"), fence]


def _folded(block: Folded) -> Iterator[str]:
    yield from ["<details>", f"<summary>{_plain(block.title)}</summary>", ""]
    for inner in block.blocks:
        yield from [*_block(inner), ""]
    yield "</details>"
