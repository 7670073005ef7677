"""Text from outside (names, paths, other programs' messages) made fit to be printed on one line."""

LONGEST = 1_000
"""No message and no cell of a table is longer."""

_HEAD, _TAIL = 700, 250
"""What is kept of a longer text: mostly its beginning, and its end, which says what would be legal."""


def printable(text: str) -> str:
    r"""`text` with an escape, such as `\n` or `\x1b`, for every character that is not shown as it is.

    Those are control characters, which a terminal obeys, line ends of every kind, marks that turn the
    direction of writing, and halves of characters, which stand for bytes that are no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(text: str) -> str:
    """`text` as one printable line, cut in its middle where it is longer than `LONGEST`."""
    shown = printable(text)
    return shown if len(shown) <= LONGEST else f"{shown[:_HEAD]} ... {shown[-_TAIL:]}"
