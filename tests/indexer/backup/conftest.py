"""A collection with all that a snapshot must hold, and another installation to put it in."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from scenes.catalog import collections, publishing, recipes
from scenes.catalog.connection import Catalog
from scenes.catalog.migrations import migrate
from scenes.catalog.publishing import Publication
from scenes.description import SceneDescription
from scenes.identity import image_id
from scenes.outcome import Failed, FailureReason
from tests.indexer.backup.installations import RECIPE, TEXTS
from tests.indexer.world import World


@pytest.fixture
async def world(catalog: Catalog, home: Path) -> World:
    """Five imports, one of them edited twice, a machine's description, a failure, an erased image that came back."""
    world = World(catalog, home)
    await world.add(*TEXTS)
    await world.edit("lazy dog", "sleepy cat")
    await world.refresh()
    await world.edit("lazy dog", "grey hound")
    await world.delete("red bus")
    await world.add("red bus")
    machine = Publication(
        image_id(b"1"),
        "bytes",
        SceneDescription(detail="an owl"),
        "machine",
        RECIPE.fingerprint(),
        recipe=RECIPE.fingerprint(),
        external_id="owl",
        uris=("file:///b.jpg", "file:///a.jpg"),
        metadata={"year": 2020, "tags": ["ü", None]},
        support={"/detail": 0.5},
        notes=("cut",),
    )
    failure = Failed(image_id=image_id(b"2"), reason=FailureReason.READ_ERROR, detail="gone")
    async with catalog.writing() as session:
        row = await collections.get(session, "c")
        await recipes.remember_caption(session, RECIPE)
        await publishing.publish(session, row.id, [machine])
        await publishing.record_outcomes(session, row.id, [(failure, "file:///2.jpg", RECIPE.fingerprint())])
    await world.refresh(always=True)
    return world


@pytest.fixture
async def elsewhere(postgres_server: str) -> AsyncIterator[Catalog]:
    """The catalog of another installation."""
    name = f"t_{uuid.uuid4().hex}"
    plain = postgres_server.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        url = postgres_server.replace("/postgres?", f"/{name}?")
        migrate(url)
        catalog = Catalog.connect(url)
        yield catalog
        await catalog.close()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
