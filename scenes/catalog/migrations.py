"""Bring a database to the newest schema: Alembic under an advisory lock, with a lock time-out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import Error as PsycopgError
from psycopg import OperationalError as PsycopgOperationalError
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from scenes.catalog import queue_schema
from scenes.catalog.connection import client_settings
from scenes.catalog.refusals import refusal, unreachable
from scenes.catalog.server_check import check_server
from scenes.errors import EnvironmentMissing

_ADVISORY_LOCK = 0x776F726473  # 'words'
_LOCK_TIMEOUT_MS = 10_000


def migrate(url: str) -> None:
    """Upgrade to the newest schema; does nothing where it is there already. Safe from several processes at once.

    Raises `EnvironmentMissing`: `postgres_unreachable`, what `check_server` raises, `postgres_schema_newer`, and what
    `refusals.refusal` names; `Overloaded` (`postgres_busy`).
    """
    with _told_plainly(), _engine(url).connect() as connection:
        _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    check_server(connection)
    connection.commit()
    if _is_current(connection):
        return
    _refuse_newer(connection)
    connection.rollback()
    connection.execute(text(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.commit()
    try:
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        connection.commit()
        queue_schema.upgrade(connection)
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
        connection.commit()


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_settings()).walk_revisions()}
    if revision is not None and revision not in known:
        raise EnvironmentMissing(
            "postgres_schema_newer",
            f"the database has the schema {revision!r}, of a newer wordsight or of another program",
            fix="install the newer version, or name another database in DATABASE_URL",
        )


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PsycopgError) as error:
        named = refusal(error)
        if named is None and not isinstance(error, OperationalError | PsycopgOperationalError):
            raise
        raise named or unreachable(error) from error


def _engine(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool, connect_args=client_settings())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_current(connection: Connection) -> bool:
    return _revision(connection) == _newest() and queue_schema.is_current(connection)


def _newest() -> str | None:
    return ScriptDirectory.from_config(_settings()).get_current_head()


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(_scripts()))
    settings.set_main_option("path_separator", "os")
    return settings


def _scripts() -> Path:
    checkout = Path(__file__).resolve().parents[2] / "alembic"
    installed = Path(sys.prefix) / "share" / "wordsight" / "alembic"
    return checkout if (checkout / "env.py").is_file() else installed
