"""Bring a database to the newest schema: Alembic under an advisory lock, with a lock time-out."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from scenes.catalog import queue_schema
from scenes.catalog.engine import CONNECT_TIMEOUT, unreachable
from scenes.errors import EnvironmentMissing

MINIMUM_SERVER = 15
_ADVISORY_LOCK = 0x776F726473  # 'words'
_LOCK_TIMEOUT_MS = 10_000


def migrate(url: str) -> None:
    """Upgrade to the newest schema; does nothing where it is there already. Safe from several processes at once.

    Raises `EnvironmentMissing`: `postgres_unreachable`, `postgres_too_old`.
    """
    try:
        with _engine(url).connect() as connection:
            _upgrade(connection)
    except OperationalError as error:
        raise unreachable(error) from error


def is_current(url: str) -> bool:
    """Has the database the newest schema? Raises `EnvironmentMissing` (`postgres_unreachable`)."""
    try:
        with _engine(url).connect() as connection:
            return _is_current(connection)
    except OperationalError as error:
        raise unreachable(error) from error


def _upgrade(connection: Connection) -> None:
    _check_server(connection)
    connection.commit()
    if _is_current(connection):
        return
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


def _check_server(connection: Connection) -> None:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if number < MINIMUM_SERVER:
        raise EnvironmentMissing(
            "postgres_too_old",
            f"this is PostgreSQL {number}; wordsight needs {MINIMUM_SERVER} or newer",
            fix="point DATABASE_URL at a newer server",
        )


def _engine(url: str) -> Engine:
    timeout = {"connect_timeout": int(CONNECT_TIMEOUT.total_seconds())}
    return create_engine(url, poolclass=NullPool, connect_args=timeout)


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
