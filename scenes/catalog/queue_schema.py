"""The queue's own tables: made by the library's SQL, brought forward by its numbered migrations, each applied once.

Alembic owns our tables; the library owns its own. Which of its migrations a database has is kept in
`queue_migrations`, so that an upgrade of the library is an upgrade of the database at the next start.
"""

from importlib import resources

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.tables import queue_migrations

_SQL = "procrastinate.sql"
PREFIX = "procrastinate_"
"""All tables of the queue begin so; they are none of Alembic's business."""


def is_current(connection: Connection) -> bool:
    """Has the database every migration of the installed library?"""
    if not inspect(connection).has_table(queue_migrations.name):
        return False
    return not (_known() - _applied(connection))


def upgrade(connection: Connection) -> None:
    """Make the queue's tables, or apply the migrations that are missing, in order, each committed with its record."""
    if connection.execute(text(f"SELECT to_regclass('{PREFIX}jobs')")).scalar_one() is None:
        _apply(connection, "schema.sql", _known())
    for name in sorted(_known() - _applied(connection)):
        _apply(connection, f"migrations/{name}", {name})


def _apply(connection: Connection, script: str, names: set[str]) -> None:
    """Many statements at once, without parameters: what the driver itself takes."""
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - the connection is open
    with raw.cursor() as cursor:
        cursor.execute(resources.files(_SQL).joinpath(script).read_text(encoding="utf-8"))
    connection.execute(upsert(queue_migrations).on_conflict_do_nothing(), [{"name": name} for name in sorted(names)])
    connection.commit()


def _known() -> set[str]:
    return {one.name for one in (resources.files(_SQL) / "migrations").iterdir() if one.name.endswith(".sql")}


def _applied(connection: Connection) -> set[str]:
    return {name for (name,) in connection.execute(select(queue_migrations.c.name))}
