"""Is this a Postgres that wordsight can work with? Asked once at the start of every command."""

from typing import Any

from sqlalchemy import Connection, text

from scenes.catalog.refusals import USE_A_SESSION
from scenes.errors import EnvironmentMissing

MINIMUM_SERVER = 15
_NUMBER = text("SELECT pg_backend_pid()")


def check_server(connection: Connection) -> None:
    """Raises `EnvironmentMissing`: `postgres_too_old`, `postgres_not_utf8`, `postgres_pooled`."""
    _check_version(connection)
    _check_encoding(connection)
    _check_session(connection)


def _check_version(connection: Connection) -> None:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if number < MINIMUM_SERVER:
        raise EnvironmentMissing(
            "postgres_too_old",
            f"this is PostgreSQL {number}; wordsight needs {MINIMUM_SERVER} or newer",
            fix="point DATABASE_URL at a newer server",
        )


def _check_encoding(connection: Connection) -> None:
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise EnvironmentMissing(
            "postgres_not_utf8",
            f"the database is encoded in {encoding}, which can't hold every text; wordsight needs UTF8",
            fix="name another database: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )


def _check_session(connection: Connection) -> None:
    """Prepared statements, notifications and locks live in a session; some poolers give each transaction another one.

    A pooler is recognised by the number of the server process, which it makes up when it accepts a connection. It keeps
    sessions apart where two connections never meet the same server process, nor one of them another.
    """
    backend = _backend(connection)
    if _raw(connection).info.backend_pid == backend:
        return
    with connection.engine.connect() as other:
        if _backend(other, in_transaction=True) == backend or _backend(connection) != backend:
            raise EnvironmentMissing(
                "postgres_pooled",
                "DATABASE_URL leads to a pooler in transaction mode, as of PgBouncer: sessions do not last there",
                fix=USE_A_SESSION,
            )


def _backend(connection: Connection, *, in_transaction: bool = False) -> int:
    number = int(connection.execute(_NUMBER).scalar_one())
    if not in_transaction:
        connection.commit()
    return number


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection
