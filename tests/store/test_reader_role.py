"""The role that may only read: what it can do, what it can't, and who is refused to become it."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from sweeper.errors import NotFoundError, StoreError, UsageError
from sweeper.records import Trial
from sweeper.store import Store, TrialPlanned, grant_reading
from sweeper.store.failures import translated

if TYPE_CHECKING:
    from postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MakeTrial = Callable[..., Trial]
ODD = 'Odd "name" of 100% ü'
NUMBERS = itertools.count()


@pytest.fixture
def url(postgres_server: "PostgresServer") -> str:
    return postgres_server.store_url()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with a password in it."""
    path = tmp_path / "password"
    path.write_text("s3cret %s 'ü'\n")
    return path


@pytest.fixture
def role(postgres_server: "PostgresServer") -> Iterator[str]:
    """A name for a role of this test's own: roles are the whole server's. It logs in with a password only."""
    name = f"page{next(NUMBERS)}"
    yield from guarded(postgres_server, name)


def guarded(server: "PostgresServer", name: str) -> Iterator[str]:
    before = (server.data / "pg_hba.conf").read_text()
    quoted = name.replace('"', '""')
    let_in(server, f'local all "{quoted}" scram-sha-256\n{before}')
    yield name
    let_in(server, before)


def let_in(server: "PostgresServer", rules: str) -> None:
    """Put the rules there in one piece: a server that is still reading half a file lets nobody in."""
    new = server.data / "pg_hba.conf.new"
    new.write_text(rules)
    new.replace(server.data / "pg_hba.conf")
    server.sql("SELECT pg_reload_conf()")


def connected(url: str, role: str, password: str) -> psycopg.Connection:
    return psycopg.connect(
        url.replace("postgresql://postgres@", "postgresql://"), user=role, password=password
    )


def refusal(url: str, role: str, file: Path, kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        grant_reading(url, role, file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def as_reader(url: str, role: str, monkeypatch: pytest.MonkeyPatch, file: Path) -> Store:
    monkeypatch.setenv("SWEEPER_STORE_PASSWORD_FILE", str(file))
    return Store.open(url.replace("postgres@", f"{role}@"), read_only=True)


def test_the_role_reads_a_store_and_what_is_written_later(
    url: str, role: str, secret: Path, monkeypatch: pytest.MonkeyPatch, make_trial: MakeTrial
) -> None:
    store = Store.open(url)
    committer = store.create_sweep("s", {}, "", {}, 30)
    assert grant_reading(url, role, secret)
    reader = as_reader(url, role, monkeypatch, secret)
    committer.commit([TrialPlanned(make_trial(), NOW)])
    assert ([info.name for info in reader.sweeps()], len(reader.trials("s"))) == (["s"], 1)
    with pytest.raises(StoreError, match="read-only transaction"), translated(reader.engine.url):  # noqa: SIM117
        with reader.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM sweeps")
    reader.close()
    store.close()


WRITES = (
    "INSERT INTO alembic_version VALUES ('x')",
    "UPDATE sweeps SET name = 'x'",
    "DELETE FROM sweeps",
    "TRUNCATE sweeps CASCADE",
    "CREATE TABLE mine (x INTEGER)",
    "CREATE SCHEMA mine",
    "DROP TABLE epochs",
    "SELECT nextval('sweeps_id_seq')",
)


def test_the_role_writes_nothing_even_where_it_turns_the_reading_mode_off(
    url: str, role: str, secret: Path
) -> None:
    grant_reading(url, role, secret)
    with connected(url, role, "s3cret %s 'ü'") as connection:
        for mode, words in (
            ("on", "read-only transaction|permission"),
            ("off", "permission denied|must be owner"),
        ):
            connection.execute(f"SET default_transaction_read_only = {mode}")
            connection.commit()
            for statement in WRITES:
                with pytest.raises(psycopg.Error, match=words):
                    connection.execute(statement)
                connection.rollback()


def test_later_tables_are_read_too(url: str, role: str, secret: Path) -> None:
    grant_reading(url, role, secret)
    with psycopg.connect(url) as owner:
        owner.execute("CREATE TABLE later AS SELECT 1 AS x")
    with connected(url, role, "s3cret %s 'ü'") as connection:
        assert connection.execute("SELECT x FROM later").fetchall() == [(1,)]


def test_done_again_it_brings_rights_and_password_up_to_date(url: str, role: str, secret: Path) -> None:
    assert grant_reading(url, role, secret)
    with psycopg.connect(url) as owner:
        owner.execute(f"GRANT INSERT ON sweeps TO {role}")
        owner.execute(f"REVOKE SELECT ON epochs FROM {role}")
        owner.execute(f"ALTER ROLE {role} NOLOGIN")
        owner.execute(f"ALTER ROLE {role} SET default_transaction_read_only = off")
    secret.write_text("another")
    assert not grant_reading(url, role, secret)
    with connected(url, role, "another") as connection:
        connection.execute("SELECT * FROM epochs")
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        connection.rollback()
        connection.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg.Error, match="permission denied"):
            connection.execute("INSERT INTO sweeps DEFAULT VALUES")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connected(url, role, "s3cret %s 'ü'")


def test_whoever_owns_the_store_and_may_make_roles_can_do_it(
    postgres_server: "PostgresServer", role: str, secret: Path
) -> None:
    url, owner = postgres_server.empty_url(), f"owner_of_{role}"
    postgres_server.sql(f"CREATE ROLE {owner} LOGIN CREATEROLE")
    postgres_server.sql(f"ALTER DATABASE {url.partition('@/')[2].partition('?')[0]} OWNER TO {owner}")
    owned = url.replace("postgres@", f"{owner}@")
    Store.open(owned, create=True).close()
    assert [grant_reading(owned, role, secret) for _ in range(2)] == [True, False]
    with connected(url, role, "s3cret %s 'ü'") as connection:
        assert connection.execute("SELECT count(*) FROM sweeps").fetchone() == (0,)
    assert "may make roles, owns a database or tables" in refusal(owned, owner, secret, UsageError)


def test_a_role_may_have_any_name(postgres_server: "PostgresServer", url: str, secret: Path) -> None:
    for name in guarded(postgres_server, ODD):
        assert grant_reading(url, name, secret)
        with connected(url, name, "s3cret %s 'ü'") as connection:
            assert connection.execute("SELECT count(*) FROM sweeps").fetchone() == (0,)


def test_the_password_stands_in_no_statement_and_no_log(
    postgres_server: "PostgresServer", url: str, role: str, secret: Path
) -> None:
    secret.write_text("never-in-a-log")
    log = postgres_server.data / "log"
    before = log.stat().st_size
    grant_reading(url + "&options=-clog_statement=all", role, secret)
    told = log.read_bytes()[before:].decode()
    assert f'ALTER ROLE "{role}" LOGIN PASSWORD \'SCRAM-SHA-256$' in told
    assert "never-in-a-log" not in told


@pytest.mark.parametrize(
    ("making", "reason"),
    [
        ("CREATE ROLE {} SUPERUSER", "is a superuser"),
        ("CREATE ROLE {} CREATEROLE", "may make roles"),
        ("CREATE ROLE {}; ALTER TABLE epochs OWNER TO {}", "owns a database or tables"),
        ("CREATE ROLE {}; GRANT pg_write_all_data TO {}", "is a member of pg_write_all_data"),
    ],
)
def test_a_role_that_could_do_more_than_read_is_refused(
    url: str, role: str, secret: Path, making: str, reason: str
) -> None:
    with psycopg.connect(url) as owner:
        owner.execute(making.format(role, role))
    assert refusal(url, role, secret, UsageError) == (
        f"role '{role}' could do more than read: it {reason}; name another or a new one"
    )
    with psycopg.connect(url) as owner:
        query = "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s"
        assert owner.execute(query, (role,)).fetchall() == [(False,)]


def test_the_stores_own_user_is_refused(url: str, secret: Path) -> None:
    assert "is a superuser" in refusal(url, "postgres", secret, UsageError)


@pytest.mark.parametrize(
    ("granting", "reason"),
    [
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "may make tables, as everyone may: REVOKE CREATE ON"),
        ("GRANT UPDATE (name) ON sweeps TO PUBLIC", "may write table sweeps, as somebody else has granted"),
    ],
)
def test_what_everyone_may_do_is_told_and_the_role_not_made(
    url: str, role: str, secret: Path, granting: str, reason: str
) -> None:
    with psycopg.connect(url) as owner:
        owner.execute(granting)
    told = refusal(url, role, secret, StoreError)
    assert f"role '{role}' was left as it was: it {reason}" in told
    with psycopg.connect(url) as owner:
        assert owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchall() == []


def test_a_user_who_may_make_no_roles_is_told(
    postgres_server: "PostgresServer", url: str, role: str, secret: Path
) -> None:
    grant_reading(url, role, secret)
    own = url.replace("postgres@", f"{role}:s3cret%20%25s%20'ü'@")
    assert "cannot execute CREATE ROLE" in refusal(own, "other", secret, StoreError)


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32, "a\nb", "\udcff"])
def test_a_name_that_cannot_be_one_is_refused(url: str, secret: Path, name: str) -> None:
    assert "must be 1 to 63 printable bytes" in refusal(url, name, secret, UsageError)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, ": No such file or directory"), ("\n", ", which is empty")]
)
def test_a_file_without_a_password_is_refused(
    url: str, role: str, tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "none"
    if content is not None:
        file.write_text(content)
    assert refusal(url, role, file, UsageError) == f"--password-file {file}{reason}"


def test_there_must_be_a_store(postgres_server: "PostgresServer", role: str, secret: Path) -> None:
    told = refusal(postgres_server.empty_url(), role, secret, NotFoundError)
    assert "there is none yet; `sweeper store upgrade` makes one" in told
