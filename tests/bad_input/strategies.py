"""Hostile text, and experiment files gone wrong, for the property tests."""

import re
from pathlib import Path

from hypothesis import strategies as st

QUICKSTART = (Path(__file__).parents[2] / "experiments" / "quickstart.toml").read_text()

ATTACKS = (
    "../../../x",
    "..",
    "' OR '1'='1",
    "'; DROP TABLE sweeps; --",
    'a"b`c$(id)',
    "<script>alert(1)</script>",
    "[bold]red[/bold]",
    "[/]",
    ":bomb:",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "line\nline\r\nline\rline\u2028line\x85line",
    "\udcff\udc80",
    "\u202eevil\u202c",
    "e\u0301\u0302\u0303" * 20,
    "нейросеть 神经网络 شبكة",
    "🧨",
    "%s %(x)s {} {0} {{",
    "-x",
    "--help-",
    "=1+1",
    "@SUM(A1)",
    "x" * 10_000,
    "9" * 5_000,
    "1e999",
    "nan",
    " ",
    "",
    "\ufeff",
)

hostile = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    st.lists(st.sampled_from(ATTACKS), min_size=2, max_size=3).map("".join),
)
"""Text that a shell can hand over: anything but NUL."""

hostile_with_nul = hostile.flatmap(lambda text: st.sampled_from((text, f"{text}\0{text}")))
"""Text that comes from another program."""

VALUES = (
    "1e400",
    "-inf",
    "nan",
    "9" * 5_000,
    "-" + "9" * 400,
    "0x" + "f" * 4_000,
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "[" * 3_000,
    "[" * 200 + "]" * 200,
    "a." * 3_000 + "a",
    "{ low = nan, high = inf }",
    "{ low = 1, high = 0, scale = [1] }",
    "[1, 1.0, true]",
    '[["log"]]',
    '{ "\\u001b[31m" = 1 }',
    "true",
    "''",
    "'''\x1b'''",
    '"\\u0000\\u202e\\U0010FFFF"',
    "{}",
    "[]",
    "-1",
    "0",
    "1_000_000_000",
    "2.5",
    '"x"',
    "\0",
    '"' + "y" * 9_900 + '"',
)
"""Values of a key, most of them wrong, some of them wrong for every key."""

_TOKEN = re.compile(r"\s+|[\w.]+|.", re.DOTALL)


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """The bytes of an experiment file after a few accidents."""
    text = QUICKSTART
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(ACCIDENTS))(draw, text)
    encoding = draw(st.sampled_from(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "cp037")))
    content = text.encode(encoding, errors="replace" if encoding == "cp037" else "surrogateescape")
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def _reordered(draw: st.DrawFn, text: str) -> str:
    """A token deleted, doubled, or swapped with another."""
    tokens = _TOKEN.findall(text) or [""]
    i, j = (draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
    accident = draw(st.sampled_from(("delete", "double", "swap")))
    if accident == "delete":
        del tokens[i]
    elif accident == "double":
        tokens.insert(i, tokens[i])
    else:
        tokens[i], tokens[j] = tokens[j], tokens[i]
    return "".join(tokens)


def _another_value(draw: st.DrawFn, text: str) -> str:
    """A key with a value that it may not have."""
    lines = text.split("\n")
    with_value = [n for n, line in enumerate(lines) if "=" in line]
    if with_value:
        n = draw(st.sampled_from(with_value))
        lines[n] = f"{lines[n].partition('=')[0]}= {draw(st.sampled_from(VALUES))}"
    return "\n".join(lines)


def _another_key(draw: st.DrawFn, text: str) -> str:
    """A line under a table of its choice, which may be known, unknown or there already."""
    table = draw(st.sampled_from(("data", "space", "optimizers", "optimizers.x", "a.b", "[data]", "search")))
    key = draw(st.sampled_from(("lr", "name", "class", "'\x7f'", '"\\u001b[2J"', "hidden", "a.b", "steps")))
    return f"{text}\n[{table}]\n{key} = {draw(st.sampled_from(VALUES))}\n"


def _inserted(draw: st.DrawFn, text: str) -> str:
    """Hostile text anywhere."""
    where = draw(st.integers(0, len(text)))
    what = draw(hostile_with_nul).encode("utf-8", "replace").decode()
    return text[:where] + what + text[where:]


def _line_ends(draw: st.DrawFn, text: str) -> str:
    return text.replace("\n", draw(st.sampled_from(("\r\n", "\r", "\n\n"))))


ACCIDENTS = (_reordered, _reordered, _another_value, _another_value, _another_key, _inserted, _line_ends)
