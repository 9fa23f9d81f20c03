"""Calls about any number of images; deletion leaves nothing but that it happened."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, func, select, text

from scenes.catalog import collections, embeddings, images, publishing, recipes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, ReadSession
from scenes.catalog.embeddings import Embedding
from scenes.catalog.publishing import Publication, PublishCounts
from scenes.catalog.tables import metadata
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.identity import external_image_id
from scenes.outcome import Failed, FailureReason
from scenes.recipe import CaptionRecipe, EncoderRecipe

pytestmark = pytest.mark.postgres
RECIPE = CaptionRecipe(engine="basic", model="m", prompt="p-1")
OTHER = CaptionRecipe(engine="basic", model="m", prompt="p-2")
ENCODER = EncoderRecipe(model="e", weights_digest="0" * 64, wording="whole-1", dimensions=4, max_tokens=16)
MANY = 10_000


@pytest.fixture
async def collection(catalog: Catalog) -> CollectionRow:
    async with catalog.writing() as session:
        for recipe in (RECIPE, OTHER):
            await recipes.remember_caption(session, recipe)
        await recipes.remember_encoder(session, ENCODER)
        return await collections.create(session, Collection(name="c"))


def plain(vectors: np.ndarray) -> Embedding:
    return Embedding(vectors, np.empty((0, 0), np.int8), truncated=False)


def machine(name: str, detail: str = "a dog") -> Publication:
    """A description by a machine; its image has a secret in every place that may hold one."""
    mark = RECIPE.fingerprint()
    description = SceneDescription(detail=f"{detail} {name}")
    return Publication(external_image_id(name), "bytes", description, "machine", mark, mark, uris=(f"file:///{name}",))


def failed(name: str) -> tuple[Failed, str, str]:
    outcome = Failed(image_id=external_image_id(name), reason=FailureReason.TIMEOUT, detail=name)
    return outcome, f"file:///{name}", OTHER.fingerprint()


async def vectorise(catalog: Catalog, collection: CollectionRow) -> None:
    async with catalog.writing() as session:
        todo = await embeddings.missing(session, collection.id, ENCODER.fingerprint(), MANY)
        rows = [(row_id, plain(np.ones((1, 4), np.float32))) for row_id, _ in todo]
        await embeddings.store(session, collection.id, ENCODER.fingerprint(), rows)


async def test_no_statement_grows_with_its_rows(catalog: Catalog, collection: CollectionRow) -> None:
    """Postgres takes 65,535 parameters of a statement, however many images a call is about."""
    few, many = [machine(f"few {n}") for n in range(3)], [machine(f"many {n}") for n in range(1_000)]
    with most_parameters() as counted:
        await write_and_delete(catalog, collection, few)
        for_few = counted.pop()
        await write_and_delete(catalog, collection, many)
        assert 0 < counted.pop() <= for_few


async def write_and_delete(catalog: Catalog, collection: CollectionRow, rows: list[Publication]) -> None:
    ids = [row.image_id for row in rows]
    async with catalog.writing() as session:
        assert await publishing.publish(session, collection.id, rows) == PublishCounts(published=len(rows))
        await publishing.record_outcomes(session, collection.id, [failed("x")] * len(rows))
    await vectorise(catalog, collection)
    async with catalog.reading() as session:
        assert len(await publishing.known_under(session, collection.id, RECIPE.fingerprint(), ids)) == len(rows)
        assert len(await images.by_rows(session, collection.id, range(10_000))) == len(rows)
        assert await embeddings.count_missing(session, collection.id, ENCODER.fingerprint()) == 0
    async with catalog.writing() as session:
        assert await images.delete(session, collection.id, ids) == len(rows)
        assert (await collections.counts(session, collection.id)).images == 0


@contextmanager
def most_parameters() -> Iterator[list[int]]:
    """The one number in the list is that of the statement with most parameters since it was taken out."""
    counted: list[int] = []

    def count(_connection: Any, _cursor: Any, _statement: str, parameters: Any, *_more: Any) -> None:
        sets = parameters if isinstance(parameters, list) else [parameters]
        counted[:] = [max([*counted, *(len(one) for one in sets)])]

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", count)


async def test_a_deleted_image_leaves_nothing_but_its_tombstone(catalog: Catalog, collection: CollectionRow) -> None:
    async with catalog.writing() as session:
        await publishing.publish(session, collection.id, [machine("geheim"), machine("offen")])
        await publishing.record_outcomes(session, collection.id, [failed("geheim"), failed("offen")])
        await images.edit(session, collection.id, external_image_id("geheim"), SceneDescription(detail="ganz geheim"))
        await images.set_metadata(session, collection.id, external_image_id("geheim"), {"owner": "geheim"})
    await vectorise(catalog, collection)
    async with catalog.reading() as session:
        kept = await images.get(session, collection.id, external_image_id("offen"))
    async with catalog.writing() as session:
        assert await images.delete(session, collection.id, [external_image_id("geheim")]) == 1
    assert await everything(catalog, "geheim", external_image_id("geheim")) == {"tombstones", "erasures"}
    async with catalog.reading() as session:
        assert await images.get(session, collection.id, external_image_id("offen")) == kept
        counts = {name: await count(session, name) for name in ("images", "descriptions", "embeddings", "outcomes")}
    assert counts == {"images": 1, "descriptions": 1, "embeddings": 1, "outcomes": 1}


async def test_deleting_nothing_changes_nothing(catalog: Catalog, collection: CollectionRow) -> None:
    async with catalog.writing() as session:
        await publishing.publish(session, collection.id, [machine("a")])
        before = await collections.generation(session, collection.id)
        for nothing in ([], [external_image_id("unknown")]):
            assert await images.delete(session, collection.id, nothing) == 0
        assert await collections.generation(session, collection.id) == before
        assert await count(session, "tombstones") == 0


async def test_vectors_of_what_was_deleted_meanwhile_are_left_out(catalog: Catalog, collection: CollectionRow) -> None:
    async with catalog.writing() as session:
        await publishing.publish(session, collection.id, [machine("a"), machine("b")])
        todo = await embeddings.missing(session, collection.id, ENCODER.fingerprint(), 10)
        await images.delete(session, collection.id, [external_image_id("a")])
        rows = [(row_id, plain(np.full((1, 4), row_id, np.float32))) for row_id, _ in todo]
        await embeddings.store(session, collection.id, ENCODER.fingerprint(), rows)
        (batch,) = [b async for b in embeddings.stream(session, collection.id, ENCODER)]
    assert batch.vectors.tolist() == [[[todo[1][0]] * 4]]


@pytest.mark.parametrize("seen", [True, False])
async def test_vectors_of_what_is_being_deleted_are_left_out(
    catalog: Catalog, collection: CollectionRow, seen: bool
) -> None:
    async with catalog.writing() as session:
        await publishing.publish(session, collection.id, [machine("a"), machine("b")])
        todo = await embeddings.missing(session, collection.id, ENCODER.fingerprint(), 10)
    rows = [(row_id, plain(np.full((1, 4), row_id, np.float32))) for row_id, _ in todo]

    async def store() -> None:
        async with catalog.writing() as session:
            await embeddings.store(session, collection.id, ENCODER.fingerprint(), rows, seen=seen)

    async with catalog.writing() as session:
        await images.delete(session, collection.id, [external_image_id("a")])
        storing = asyncio.create_task(store())
        await asyncio.sleep(0.2)
        assert not storing.done()
    await storing
    async with catalog.reading() as session:
        (batch,) = [b async for b in embeddings.stream(session, collection.id, ENCODER)]
    assert batch.vectors.tolist() == [[[todo[1][0]] * 4]]


async def everything(catalog: Catalog, *secrets: str) -> set[str]:
    """The tables where any row, written as text, holds one of these."""
    found = set()
    async with catalog.reading() as session:
        for table in metadata.tables:
            held = text(f"SELECT count(*) FROM {table} t WHERE t::text ~ :secret")
            if (await session.execute(held, {"secret": "|".join(secrets)})).scalar_one():
                found.add(table)
    return found


async def count(session: ReadSession, table: str) -> int:
    counted = await session.execute(select(func.count()).select_from(metadata.tables[table]))
    return int(counted.scalar_one())
