"""Which schema a database has."""

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from scenes.catalog import queue_schema

SCRIPTS = ScriptDirectory("alembic")


def is_current(url: str) -> bool:
    """Has a database the newest schema, ours and the queue's?"""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
        return revision == SCRIPTS.get_current_head() and queue_schema.is_current(connection)
