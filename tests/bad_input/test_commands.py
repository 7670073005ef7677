"""Hostile words on the command line: a line on stderr and a status, nothing changed, nothing made."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input.strategies import ATTACKS, hostile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sweeper.cli import app

Words = Callable[[str], list[str]]

READING: dict[str, Words] = {
    "list": lambda text: ["list", f"--store={text}"],
    "status": lambda text: ["status", "--", text],
    "status of a store": lambda text: ["status", "s", f"--store={text}"],
    "show": lambda text: ["show", "--", "s", text, "0"],
    "show a number": lambda text: ["show", "--", "s", "sgd", text],
    "best": lambda text: ["best", "--", text],
    "best of": lambda text: ["best", "s", f"--optimizer={text}"],
    "best as": lambda text: ["best", "s", f"--format={text}"],
    "export": lambda text: ["export", "--out=out", "--", text],
    "export as": lambda text: ["export", "s", "--out=out", f"--format={text}"],
    "repeat": lambda text: ["repeat", "--", "s", text, "0"],
    "repeat a number": lambda text: ["repeat", "--", "s", "sgd", f"{text}7"],
    "repeat with": lambda text: ["repeat", "s", "sgd", "0", f"--data-dir={text}"],
    "resume": lambda text: ["resume", "--", text],
    "resume with": lambda text: ["resume", "s", f"--set={text}"],
    "run a file": lambda text: ["run", "--", text],
    "run as": lambda text: ["run", "quick.toml", f"--name={text} "],
    "run after": lambda text: ["run", "quick.toml", f"--warm-start={text}"],
    "plan": lambda text: ["plan", "--no-calibrate", "--", text],
    "plan with": lambda text: ["plan", "--no-calibrate", "quick.toml", f"--set={text}"],
    "plan for": lambda text: ["plan", "--no-calibrate", "quick.toml", f"--workers={text}"],
    "data info": lambda text: ["data", "info", f"--data-dir={text}"],
    "data fetch": lambda text: ["data", "fetch", f"--data-dir={text}", "--", f"{text}x"],
    "gradcheck": lambda text: ["gradcheck", f"--model={text}"],
    "a command": lambda text: [text],
    "an option": lambda text: ["list", f"--{text}"],
    "a word too many": lambda text: ["list", "--", text],
}
"""Commands that make nothing, each with a hostile word in it."""


def contents(home: Path) -> tuple[list[str], str]:
    """The files beside and above the store, and a hash of all of its rows."""
    top = home.parents[2]
    files = sorted(str(path) for path in top.rglob("*") if not path.name.startswith("sweeper.db-"))
    with sqlite3.connect(home / "sweeper.db") as connection:
        rows = "\n".join(connection.iterdump())
    connection.close()
    return files, hashlib.sha256(rows.encode()).hexdigest()


def answer(words: list[str]) -> int:
    """The exit status of the command, whose errors are printable lines and all that it prints."""
    done = CliRunner().invoke(app, words, color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 2, 3, 4), done.stderr
    if done.exit_code:
        assert done.stdout == ""
        assert done.stderr.startswith("sweeper: ")
    for line in done.stderr.rstrip("\n").split("\n"):
        assert line.isprintable()
        assert len(line) < 2_200
    return done.exit_code


@given(st.sampled_from(sorted(READING)), hostile)
def test_a_hostile_word_is_a_line_and_changes_nothing(home: Path, command: str, text: str) -> None:
    before = contents(home)
    answer(READING[command](text))
    assert contents(home) == before


@pytest.mark.parametrize("command", sorted(READING))
def test_every_command_stands_bytes_that_are_no_text_and_control_characters(home: Path, command: str) -> None:
    for text in ("\udcff", "\x1b[2J\n\u202e[/]", "9" * 5_000, "x" * 10_000):
        assert answer(READING[command](text)) > 0 or command in ("list", "status of a store")


@given(hostile.filter(lambda text: ".." not in text and not text.startswith("/")))
def test_what_is_exported_lies_where_it_was_asked_for(
    home: Path, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    before = contents(home)
    out = tmp_path_factory.mktemp("out")
    if answer(["export", "s", f"--out={out / 'frames'}{text}"]) == 0:
        assert {path.name for path in out.rglob("*.csv")} == {"trials.csv", "epochs.csv"}
    assert contents(home) == before


@pytest.mark.parametrize("text", ["", ".", "x" * 300, "absent/model.pt", "quick.toml/model.pt", "\udcff/x"])
def test_a_network_that_can_not_be_saved_is_told_before_it_is_trained(home: Path, text: str) -> None:
    assert answer(["repeat", "s", "sgd", "0", f"--save={text}"]) == 2


@pytest.mark.parametrize("address", [":1", "6379", "x" * 100 + ":1", "host:" + "9" * 5_000, "\udcff:1"])
def test_an_address_that_can_not_be_one_is_refused_at_once(home: Path, address: str) -> None:
    before = contents(home)
    done = CliRunner().invoke(app, ["run", "quick.toml", f"--address={address}"], color=True)
    assert done.exit_code == 4
    *_, line = done.stderr.rstrip("\n").split("\n")
    assert "can't be reached" in line or "can't be joined: must be HOST:PORT" in line
    assert line.isprintable()
    assert contents(home) == before


def called(home: Path, *words: bytes | str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SWEEPER_")}
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *words],
        cwd=home,
        env={**environment, **variables},
        capture_output=True,
        timeout=60,
    )


def test_bytes_that_are_no_text_reach_a_real_process(home: Path) -> None:
    done = called(home, "status", b"\xff\xfe")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"sweeper: no sweep is called '\\udcff\\udcfe' in sqlite:///sweeper.db")
    assert done.stderr.count(b"\n") == 1


def test_an_output_without_the_characters_of_the_answer_gets_their_escapes(home: Path) -> None:
    out = "кадры"
    done = called(home, "export", "s", "--out", out, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == f"{out}/trials.csv".encode("ascii", "backslashreplace")


def test_without_a_command_there_is_help_and_status_2(home: Path) -> None:
    done = called(home)
    assert done.returncode == 2
    assert b"Usage:" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_unknown_command_is_named_as_it_was_written(attack: str) -> None:
    done = CliRunner().invoke(app, ["data", attack], color=True)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
