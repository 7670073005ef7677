import pytest

from sweeper.errors import ExperimentError, SweeperError, UsageError
from sweeper.printable import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ± é 神 🧨 'x' \\n", "plain ± é 神 🧨 'x' \\n"),
        ("\x1b[31m\x07\t\0", r"\x1b[31m\x07\t\x00"),
        ("a\nb\r\n\x85\u2028", r"a\nb\r\n\x85\u2028"),
        ("\u202eabc\u202c\u200b\ufeff", r"\u202eabc\u202c\u200b\ufeff"),
        ("\udcff\ud800", r"\udcff\ud800"),
    ],
)
def test_what_is_not_shown_as_it_is_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    line = one_line("no sweep is called '" + "x" * 10_000 + "'; `sweeper list` shows them all")
    assert len(line) <= 1_000
    assert line.startswith("no sweep is called 'xxx")
    assert line.endswith("xxx'; `sweeper list` shows them all")


def test_every_error_is_one_printable_line_and_a_file_has_one_for_each_mistake() -> None:
    assert str(SweeperError("a\nb\x1b")) == r"a\nb\x1b"
    assert str(UsageError("\u2028")) == r"\u2028"
    error = ExperimentError("x\n.toml", ["one\r", "two"])
    assert str(error) == "x\\n.toml: one\\r\nx\\n.toml: two"
    assert error.problems == ("one\\r", "two")
