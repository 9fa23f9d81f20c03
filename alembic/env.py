"""Alembic's entry: the connection comes from scenes.catalog.migrations, or a URL from `alembic -x url=…`."""

from alembic import context
from sqlalchemy import Connection, create_engine

from scenes.catalog.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).connect() as own:
        run(own)
