"""`sweeper delete`, `sweeper store upgrade` and `reader`, and who holds a sweep."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from sweeper.api import Sweep
from sweeper.cli import app, upkeep
from sweeper.store import Store

if TYPE_CHECKING:
    from postgres_server import PostgresServer

MakeSweep = Callable[..., Sweep]


def call(store: Store, *arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments, "--store", store.url], input=text)


@pytest.fixture
def released(make_sweep: MakeSweep, store: Store) -> Sweep:
    """The sweep `s`: 6 trials and 12 finals, each of 2 epochs, held by nobody."""
    made = make_sweep()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sweeps SET lease_expires = NULL")
    return made


@pytest.mark.parametrize("command", ["delete", "store upgrade", "store reader"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert f"Example: sweeper {command}" in done.stdout


@pytest.mark.parametrize(("answer", "is_left"), [("y\n", False), ("n\n", True), ("\n", True)])
def test_delete_says_what_would_be_lost_and_asks(
    store: Store, released: Sweep, monkeypatch: pytest.MonkeyPatch, answer: str, is_left: bool
) -> None:
    monkeypatch.setattr(upkeep, "_can_ask", lambda: True)
    done = call(store, "delete", "s", text=answer)
    assert done.exit_code == 0
    assert "Delete sweep s (complete): 18 trials, 36 epochs? [y/N]" in done.stderr
    told = "deleted sweep s (complete): 18 trials, 36 epochs" in done.stdout
    assert told == (not is_left)
    assert ("nothing was deleted" in done.stderr) == is_left
    assert bool(store.sweeps()) == is_left


def test_delete_without_a_terminal_wants_yes(store: Store, released: Sweep) -> None:
    done = call(store, "delete", "s", text="y\n")
    assert done.exit_code == 2
    assert done.stderr == (
        "sweeper: delete s: there is no terminal to ask on; "
        "--yes deletes sweep s (complete): 18 trials, 36 epochs\n"
    )
    assert len(store.sweeps()) == 1
    done = call(store, "delete", "s", "--yes")
    assert (done.exit_code, done.stderr, store.sweeps()) == (0, "", [])


def test_a_sweep_that_is_run_or_is_not_there_is_not_deleted(store: Store, make_sweep: MakeSweep) -> None:
    make_sweep(state=None)
    done = call(store, "delete", "s", "--yes")
    assert done.exit_code == 4
    assert re.search(r"sweep 's' is being run by process \d+ on .*; its lease has", done.stderr)
    assert len(store.sweeps()) == 1
    done = call(store, "delete", "t", "--yes")
    assert done.exit_code == 3
    assert "no sweep is called 't'" in done.stderr


def test_status_says_who_holds_the_lease_and_since_when(store: Store, make_sweep: MakeSweep) -> None:
    make_sweep(state=None)
    info = store.sweep("s")
    assert info.held_since is not None
    shown = call(store, "status", "s").stdout
    assert f"sweep s: running, held by {info.holder} since {info.held_since:%Y-%m-%d %H:%M}" in shown
    answer = json.loads(call(store, "status", "s", "--json").stdout)
    assert answer["holder"] == info.holder
    assert answer["held_since"] == info.held_since.isoformat(timespec="microseconds")


def test_an_old_store_is_upgraded_by_the_command_that_every_other_names(
    store: Store, released: Sweep, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("ALTER TABLE sweeps DROP COLUMN owner_since")
        connection.execute("ALTER TABLE sweeps DROP COLUMN stop_token")
        connection.execute("ALTER TABLE trials DROP COLUMN checkpoint_attempt")
        connection.execute("ALTER TABLE trials DROP COLUMN checkpoint_epoch")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    for command in (("list",), ("status", "s"), ("show", "s", "adam", "1"), ("delete", "s"), ("resume", "s")):
        done = call(store, *command)
        assert (done.exit_code, done.stdout) == (4, "")
        assert f"`sweeper store upgrade --store '{store.url}'` brings it up to date" in done.stderr
    assert call(store, "store", "upgrade").stdout == "schema 0001 -> 0003\n"
    assert call(store, "store", "upgrade").stdout == "schema 0003: nothing to do\n"
    assert call(store, "status", "s").exit_code == 0


def test_there_is_nothing_to_upgrade_where_there_is_no_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    done = CliRunner().invoke(app, ["store", "upgrade", "--store", url])
    assert done.exit_code == 3
    assert done.stderr == f"sweeper: store {url}: there is none yet; `sweeper run` makes one\n"
    assert not (tmp_path / "none.db").exists()


def test_an_sqlite_store_has_no_roles(store: Store, tmp_path: Path) -> None:
    done = call(store, "store", "reader", "page", "--password-file", str(tmp_path / "none"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"sweeper: store {store.url}: SQLite knows no roles; the file's rights say who may only read it\n"
    )


@pytest.mark.postgres
def test_a_reader_is_made_once_and_then_set_anew(postgres_server: "PostgresServer", tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    command = ["store", "reader", "told", "--password-file", str(tmp_path / "password")]
    for how in ("made", "set anew"):
        done = CliRunner().invoke(app, [*command, "--store", postgres_server.store_url()])
        assert (done.exit_code, done.stdout, done.stderr) == (
            0,
            f"role told: {how}; it may read the store\n",
            "",
        )
    done = CliRunner().invoke(app, [*command, "--store", postgres_server.empty_url()])
    assert done.exit_code == 3
    assert "`sweeper store upgrade` makes one" in done.stderr
