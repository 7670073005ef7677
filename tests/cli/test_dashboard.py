"""`sweeper dashboard`: what it refuses, in one line, before it listens."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeper.cli import app


def refused(*words: str, **environment: str) -> tuple[int, str]:
    """The exit status and what was said of `sweeper dashboard WORDS`, which must not begin to serve."""
    result = CliRunner().invoke(app, ["dashboard", *words], env=environment)
    return result.exit_code, result.stderr


def test_another_host_is_refused_without_a_token_in_words_that_name_it() -> None:
    status, said = refused("--host", "0.0.0.0")
    assert status == 2
    assert said == (
        "sweeper: --host 0.0.0.0: others could open the page there, so it wants a token: --token or "
        "SWEEPER_TOKEN\n"
    )


@pytest.mark.parametrize("given", [{"SWEEPER_TOKEN": ""}, {"SWEEPER_TOKEN": "  "}])
def test_an_empty_token_is_refused(given: dict[str, str]) -> None:
    assert refused(**given) == (2, "sweeper: the token is empty: give one, or none at all\n")


def test_a_tokens_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, said = refused("--host", "0.0.0.0", SWEEPER_TOKEN_FILE=str(tmp_path / "absent"))
    assert status == 2
    assert said.startswith(f"sweeper: SWEEPER_TOKEN_FILE {tmp_path / 'absent'}: can't be read: ")
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = refused("--port", port, "--store", f"sqlite:///{tmp_path / 's.db'}")
    assert status == 2
    assert said == f"sweeper: --host 127.0.0.1 --port {port}: can't listen there: Address already in use\n"


def test_a_host_that_is_nowhere_is_named(tmp_path: Path) -> None:
    status, said = refused(
        "--host", "no.such.host.invalid", "--token", "t", "--store", f"sqlite:///{tmp_path / 's.db'}"
    )
    assert status == 2
    assert said.startswith("sweeper: --host no.such.host.invalid --port 8050: can't listen there: ")
    assert len(said.splitlines()) == 1


def test_a_store_that_is_no_store_is_told_before_anybody_opens_the_page(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    file.write_bytes(b"no database at all, and long enough to be looked at" * 20)
    status, said = refused("--store", f"sqlite:///{file}")
    assert status == 4
    assert said.startswith(f"sweeper: store sqlite:///{file}: ")
    assert len(said.splitlines()) == 1
