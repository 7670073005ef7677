"""A store that was cut off, or whose bytes changed: read as far as it goes, or refused in one line."""

from pathlib import Path

import pytest
from bad_input.sweeps import write_sweep
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sweeper.cli import app
from sweeper.store import Store

COMMANDS = (["list"], ["list", "--json"], ["status", "s"], ["show", "s", "sgd", "1"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "store.db"
    store = Store.open(f"sqlite:///{path}", create=True)
    write_sweep(store, "s", said="its process died")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path.read_bytes()


def answers_or_is_refused(content: bytes, directory: Path, words: list[str]) -> str:
    (directory / "store.db").write_bytes(content)
    done = CliRunner().invoke(app, [*words, f"--store=sqlite:///{directory / 'store.db'}"], color=True)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 2, 3, 4)
    assert all(line.isprintable() for line in done.stderr.split("\n"))
    assert done.exit_code == 0 or (done.stdout == "" and done.stderr.count("\n") == 1)
    return done.stderr


@given(st.sampled_from(COMMANDS), st.floats(0, 1, exclude_max=True))
def test_a_store_that_was_cut_off(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, words: list[str], share: float
) -> None:
    answers_or_is_refused(whole[: int(share * len(whole))], tmp_path_factory.mktemp("cut"), words)


@given(
    st.sampled_from(COMMANDS),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=30),
)
def test_a_store_whose_bytes_changed(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, words: list[str], flips: list[tuple[int, int]]
) -> None:
    content = bytearray(whole)
    used = [where for where, byte in enumerate(content) if byte]  # the rest is empty room
    for where, byte in flips:
        content[used[where % len(used)]] ^= byte
    answers_or_is_refused(bytes(content), tmp_path_factory.mktemp("changed"), words)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b'{"experiment": {"name"', b'{"experiment": ["name"', "is damaged"),
        (b"complete", b"complexe", "is damaged: 'complexe' is not a valid"),
        (b"its process died", b"its pr\xffcess died", "UTF-8"),
    ],
    ids=["json", "state", "text"],
)
def test_a_value_that_is_none_any_more_is_a_damaged_store(
    whole: bytes, tmp_path: Path, before: bytes, after: bytes, said: str
) -> None:
    assert before in whole
    message = answers_or_is_refused(whole.replace(before, after), tmp_path, ["show", "s", "sgd", "1"])
    assert said in message
