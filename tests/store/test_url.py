"""Which databases can be named, and that a password is never read back."""

import builtins
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import StoreError
from sweeper.store import Store
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.url import parse, shown


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:secret@host/db",
        "postgresql+asyncpg://u:secret@host/db",
        "postgresql://u:secret@host:port/db",
        "postgresql://u:s@secret@host/db",
        "postgres//u@host?password=secret",
        "sqlite+aiosqlite:///x.db",
        "sqlite://host/x.db",
        "sqlite:///file:x.db?uri=true",
    ],
)
def test_a_url_that_cannot_be_opened_names_the_legal_forms_and_no_password(url: str) -> None:
    with pytest.raises(StoreError, match="legal: sqlite:///PATH, postgresql://USER@HOST/DB") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@127.0.0.1:1/db",
        "postgresql+psycopg://u@127.0.0.1:1/db?password=secret&sslmode=disable",
        "postgresql://u:secret@127.0.0.1:1/db?sslpassword=secret",
    ],
)
def test_a_password_is_used_and_never_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    location = parse(url)
    assert "secret" in location.secrets.values()
    engines = [reading(location), WritingConnection(location, 30, reading(location)).engine]
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreError, match="Connection refused") as caught:
        Store.open(url)
    told = "".join(traceback.format_exception(caught.value))
    assert "psycopg.OperationalError" in told, "the whole chain"
    texts = [repr(location), shown(location.url), caplog.text, told]
    texts += [repr(engine) + repr(engine.url) + repr(engine.pool) for engine in engines]
    assert not [text for text in texts if "secret" in text]
    assert shown(location.url).startswith("postgresql://u@127.0.0.1:1/db")


def test_options_that_the_server_needs_reach_it() -> None:
    with pytest.raises(StoreError, match='invalid connection option "nonsense"'):
        Store.open("postgresql://u@127.0.0.1:1/db?nonsense=1")
    with pytest.raises(StoreError, match='invalid sslmode value: "maybe"'):
        Store.open("postgresql://u@127.0.0.1:1/db?sslmode=maybe")


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_psycopg(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "psycopg":
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(StoreError, match=r"needs psycopg: pip install 'sweeper\[postgres\]'"):
        Store.open("postgresql://u@host/db")


def test_a_store_that_does_not_exist_reads_as_empty_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "absent.db"
    store = Store.open(f"sqlite:///{path}")
    assert store.sweeps() == []
    assert not path.exists()
    store.close()


def test_an_empty_file_reads_as_an_empty_store_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    store = Store.open(f"sqlite:///{path}")
    assert store.sweeps() == []
    store.close()
    assert path.stat().st_size == 0
