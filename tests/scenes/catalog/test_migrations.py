"""A database of the version before opens, with what is in it, and can go back."""

from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from scenes.catalog.embedded import with_driver
from scenes.catalog.migrations import migrate

pytestmark = pytest.mark.postgres
_SCRIPTS = Path(__file__).resolve().parents[3] / "alembic"


def bring_to(url: str, revision: str) -> None:
    with create_engine(with_driver(url), poolclass=NullPool).connect() as connection:
        settings = Config()
        settings.set_main_option("script_location", str(_SCRIPTS))
        settings.set_main_option("path_separator", "os")
        settings.attributes["connection"] = connection
        command.downgrade(settings, revision)
        connection.commit()


def columns(connection: "psycopg.Connection[tuple[str, ...]]") -> set[str]:
    found = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'images'")
    return {name for (name,) in found}


def test_a_database_of_the_version_before_opens_and_can_go_back(database_url: str) -> None:
    bring_to(database_url, "0010")
    with psycopg.connect(database_url) as connection:
        assert "perceptual_hash" in columns(connection)
        connection.execute("INSERT INTO collections (name, settings) VALUES ('old', '{}')")
        connection.execute(
            "INSERT INTO images (collection_id, image_id, id_from, generation, perceptual_hash)"
            " SELECT id, 'a', 'bytes', 1, NULL FROM collections"
        )
    migrate(with_driver(database_url))
    with psycopg.connect(database_url) as connection:
        assert "perceptual_hash" not in columns(connection)
        assert connection.execute("SELECT image_id FROM images").fetchall() == [("a",)]
    bring_to(database_url, "0010")
    with psycopg.connect(database_url) as connection:
        assert "perceptual_hash" in columns(connection)
        assert connection.execute("SELECT image_id FROM images").fetchall() == [("a",)]
