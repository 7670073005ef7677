"""A PostgreSQL role that may read a store and do nothing else: whoever logs in as it can change nothing."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sweeper.errors import NotFoundError, StoreError, UsageError
from sweeper.store import migrate, password
from sweeper.store.engine import WritingConnection, reading
from sweeper.store.url import Location, parse, shown

MAX_NAME = 63
"""Bytes of a role's name. PostgreSQL would cut a longer one, and grant to whoever is called what is left."""

ATTRIBUTES = {
    "rolsuper": "is a superuser",
    "rolcreaterole": "may make roles",
    "rolcreatedb": "may make databases",
    "rolreplication": "may copy the server",
    "rolbypassrls": "sees hidden rows",
}
"""What a role can be that only an administrator takes from it again."""

GRANTS = (
    "REVOKE ALL ON DATABASE {database} FROM {role}",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "REVOKE ALL ON SCHEMA {schema} FROM {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON TABLES FROM {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
    "ALTER ROLE {role} LOGIN PASSWORD {verifier}",
)

DATABASE_RIGHTS = """
SELECT has_database_privilege(CAST(:role AS name), current_database(), 'CONNECT') AS is_let_in,
       has_database_privilege(CAST(:role AS name), current_database(), 'CREATE') AS makes_schemas,
       has_schema_privilege(CAST(:role AS name), oid, 'USAGE') AS is_shown,
       has_schema_privilege(CAST(:role AS name), oid, 'CREATE') AS makes_tables
FROM pg_namespace WHERE nspname = :schema
"""

TABLE_RIGHTS = """
SELECT relname, has_table_privilege(CAST(:role AS name), c.oid, 'SELECT') AS is_read,
       has_table_privilege(
           CAST(:role AS name), c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
       )
       OR has_any_column_privilege(CAST(:role AS name), c.oid, 'INSERT, UPDATE, REFERENCES') AS is_written
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname = :schema AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY relname
"""


def grant_reading(url: str, role: str, password_file: Path) -> bool:
    """Let `role` log in with the file's password and read the store, and nothing else: whether it was made.

    It happens whole or not at all; done again, it brings rights and password up to date. The password is made
    a SCRAM verifier here, so that no statement and no log of the server holds it. Raises UsageError for an
    SQLite file, a name or a file that will not do, and a role that could do more than read; NotFoundError
    where there is no store; StoreError where the database refuses.
    """
    location = parse(url)
    if location.is_sqlite:
        raise UsageError(
            f"store {shown(location.url)}: SQLite knows no roles; the file's rights say who may only read it"
        )
    if not (role.isprintable() and 0 < len(role.encode()) <= MAX_NAME):
        raise UsageError(f"role {role!r}: its name must be 1 to {MAX_NAME} printable bytes")
    try:
        secret = password.content(password_file)
    except ValueError as error:
        raise UsageError(f"--password-file {password_file}{error}") from None
    engine = reading(location)
    try:
        if not migrate.ensure_schema(engine, location, create=False):
            raise NotFoundError(
                f"store {shown(location.url)}: there is none yet; `sweeper store upgrade` makes one"
            )
        writing = WritingConnection(location, migrate.PATIENCE_S, engine)
        try:
            with writing.begin() as connection:
                return _grant(connection, location, role, secret)
        finally:
            writing.close()
    finally:
        engine.dispose()


def _grant(connection: sa.Connection, location: Location, role: str, secret: str) -> bool:
    from psycopg import sql

    # Two of these at the same moment would change the same rows of the catalog, which PostgreSQL refuses.
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrate.ADVISORY_LOCK)))
    is_new = not _exists(connection, role)
    if not is_new:
        _require_harmless(connection, role)
    database, schema = connection.execute(sa.text("SELECT current_database(), current_schema()")).one()
    driver: Any = connection.connection.dbapi_connection
    verifier = driver.pgconn.encrypt_password(secret.encode(), role.encode(), b"scram-sha-256").decode()
    names = {
        "role": sql.Identifier(role),
        "database": sql.Identifier(database),
        "schema": sql.Identifier(schema),
        "verifier": sql.Literal(verifier),
    }
    # A statement of administration takes no parameters, so a % in it is a %.
    plain = connection.execution_options(no_parameters=True)
    for statement in (*(["CREATE ROLE {role}"] if is_new else []), *GRANTS):
        plain.exec_driver_sql(sql.SQL(statement).format(**names).as_string(driver))
    _require_reader(connection, location, role, schema)
    return is_new


def _exists(connection: sa.Connection, role: str) -> bool:
    found = connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    return found is not None


def _require_harmless(connection: sa.Connection, role: str) -> None:
    """Raises UsageError where the existing role has rights that are not this store's to take away."""
    named = {"role": role}
    row = connection.execute(sa.text("SELECT * FROM pg_roles WHERE rolname = :role"), named).mappings().one()
    reasons = [text for attribute, text in ATTRIBUTES.items() if row[attribute]]
    owned = sa.text(
        "SELECT 1 FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o'"
        " AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = :role) LIMIT 1"
    )
    if connection.scalar(owned, named):
        reasons.append("owns a database or tables")
    groups = sa.text(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        " WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = :role) ORDER BY 1"
    )
    reasons += [f"is a member of {group}" for group in connection.scalars(groups, named)]
    if reasons:
        raise UsageError(
            f"role {role!r} could do more than read: it {', '.join(reasons)}; name another or a new one"
        )


def _require_reader(connection: sa.Connection, location: Location, role: str, schema: str) -> None:
    """Raises StoreError unless the role may read every table, and change nothing by what others have granted.

    What everyone may do (PUBLIC) is not taken away here, for it would be taken from others too.
    """
    named = {"role": role, "schema": schema}
    database = connection.execute(sa.text(DATABASE_RIGHTS), named).one()
    problems = []
    if not (database.is_let_in and database.is_shown):
        problems.append("may not look into the database, which somebody else owns")
    if database.makes_schemas or database.makes_tables:
        problems.append(
            f"may make tables, as everyone may: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC forbids it"
        )
    for table in connection.execute(sa.text(TABLE_RIGHTS), named):
        if not table.is_read:
            problems.append(f"may not read table {table.relname}, which somebody else owns")
        if table.is_written:
            problems.append(f"may write table {table.relname}, as somebody else has granted")
    if problems:
        raise StoreError(f"store {shown(location.url)}: role {role!r} was left as it was: it {problems[0]}")
