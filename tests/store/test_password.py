"""A password that a file holds: who reads it, when, and who never sees it."""

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sweeper.errors import StoreError
from sweeper.store import password
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.url import parse

if TYPE_CHECKING:
    from postgres_server import PostgresServer

URL = "postgresql://u@127.0.0.1:1/db"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that SWEEPER_STORE_PASSWORD_FILE names; it is not there yet."""
    path = tmp_path / "password"
    monkeypatch.setenv("SWEEPER_STORE_PASSWORD_FILE", str(path))
    return path


def user(engine: sa.Engine) -> object:
    with engine.connect() as connection:
        return connection.scalar(sa.text("SELECT current_user"))


@pytest.mark.postgres
def test_every_new_connection_takes_the_password_from_the_file(
    postgres_server: "PostgresServer", file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    location = parse(postgres_server.store_url().replace("postgres@", "guarded@"))
    file.write_text("right\n")
    engines = [reading(location), WritingConnection(location, 30, reading(location)).engine]
    assert [user(engine) for engine in engines] == ["guarded", "guarded"]
    file.write_text("wrong\n")
    assert user(engines[0]) == "guarded", "an open connection goes on"
    for engine in engines:
        engine.dispose()
        with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
            user(engine)


@pytest.mark.postgres
def test_a_password_in_the_url_wins_over_the_file(postgres_server: "PostgresServer", file: Path) -> None:
    file.write_text("wrong")
    engine = reading(parse(postgres_server.guarded_url(postgres_server.store_url(), "right")))
    assert user(engine) == "guarded"
    engine.dispose()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, ": No such file or directory"),
        (b"", ", which is empty"),
        (b"\n", ", which is empty"),
        (b"\xff\xfesecret", ", which is no text"),
    ],
)
def test_a_file_that_holds_no_password_is_named_in_one_line(
    file: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        user(reading(parse(URL)))
    assert str(caught.value) == (
        f"store {URL}: its password is looked for in {file} (SWEEPER_STORE_PASSWORD_FILE){reason}"
    )


def test_without_a_file_there_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for named in (None, ""):
        if named is not None:
            monkeypatch.setenv("SWEEPER_STORE_PASSWORD_FILE", named)
        assert password.password(parse(URL)) is None


def test_a_password_from_a_file_is_never_shown(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text("secret")
    engine = reading(parse(URL))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(sa.exc.OperationalError, match="Connection refused") as caught:
        user(engine)
    told = "".join(traceback.format_exception(caught.value))
    assert not [text for text in (told, caplog.text, repr(engine), repr(engine.pool)) if "secret" in text]
