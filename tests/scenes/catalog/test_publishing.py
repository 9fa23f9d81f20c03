"""Publishing is exactly once, collapses doubles, and a person's edit outranks every machine."""

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select

from scenes.catalog import collections, embeddings, images, keys, publishing, recipes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.embeddings import Embedding
from scenes.catalog.keys import KeyRow
from scenes.catalog.publishing import Publication, PublishCounts
from scenes.catalog.tables import outcomes
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import BadInput, Conflict, NotFound
from scenes.identity import image_id
from scenes.outcome import Failed, FailureReason, RefusalReason, Refused
from scenes.recipe import CaptionRecipe, EncoderRecipe

pytestmark = pytest.mark.postgres

RECIPE = CaptionRecipe(engine="basic", model="m", prompt="p-1")
ENCODER = EncoderRecipe(model="e", weights_digest="0" * 64, wording="whole-1", dimensions=4, max_tokens=16)


@pytest.fixture
async def collection(catalog: Catalog) -> CollectionRow:
    async with catalog.writing() as session:
        await recipes.remember_caption(session, RECIPE)
        return await collections.create(session, Collection(name="c"))


def plain(vectors: np.ndarray) -> Embedding:
    return Embedding(vectors, np.empty((0, 0), np.int8), truncated=False)


def machine(n: int, text: str = "a dog") -> Publication:
    return Publication(
        image_id=image_id(str(n).encode()),
        id_from="bytes",
        description=SceneDescription.from_text(text),
        source="machine",
        variant=RECIPE.fingerprint(),
        recipe=RECIPE.fingerprint(),
        uris=(f"file:///{n}.jpg",),
        metadata={"n": n},
    )


async def send(catalog: Catalog, collection: CollectionRow, *rows: Publication) -> PublishCounts:
    async with catalog.writing() as session:
        return await publishing.publish(session, collection.id, rows)


async def test_publishing_twice_changes_nothing(catalog: Catalog, collection: CollectionRow) -> None:
    rows = [machine(n) for n in range(25)]
    assert await send(catalog, collection, *rows) == PublishCounts(published=25)
    assert await send(catalog, collection, *rows) == PublishCounts(already=25)
    async with catalog.reading() as session:
        assert (await collections.counts(session, collection.id)).images == 25
        assert (await collections.get(session, "c")).generation == 1


async def test_doubles_in_one_batch_collapse_and_keep_every_uri(catalog: Catalog, collection: CollectionRow) -> None:
    twin = Publication(**{**_fields(machine(1)), "uris": ("file:///twin.jpg",)})
    assert await send(catalog, collection, machine(1), twin) == PublishCounts(published=1, already=1)
    async with catalog.reading() as session:
        view = await images.get(session, collection.id, image_id(b"1"))
    assert set(view.uris) == {"file:///1.jpg", "file:///twin.jpg"}
    assert view.recipe is not None
    assert view.recipe.engine == "basic"


async def test_what_postgres_can_not_index_is_no_sign_that_it_is_away(
    catalog: Catalog, collection: CollectionRow
) -> None:
    long = "".join(map(chr, range(0x20000, 0x20000 + 1_000)))
    with pytest.raises(BadInput) as told:
        async with catalog.writing() as session:
            await publishing.publish(
                session, collection.id, [Publication(**_fields(machine(1)) | {"external_id": long})]
            )
    assert told.value.code == "too_large_to_store"
    async with catalog.reading() as session:
        for name in ("\x00", "a\x00", "\ud800", "A", ""):
            with pytest.raises(NotFound):
                await collections.get(session, name)
            with pytest.raises(NotFound):
                await images.get(session, collection.id, name)


async def test_two_publishers_at_once_give_one_row_each(catalog: Catalog, collection: CollectionRow) -> None:
    rows = [machine(n) for n in range(200)]
    first, second = await asyncio.gather(*(send(catalog, collection, *order) for order in (rows, rows[::-1])))
    assert first + second == PublishCounts(published=200, already=200)


async def test_a_persons_edit_survives_recaptioning_and_deletion_leaves_a_tombstone(
    catalog: Catalog, collection: CollectionRow
) -> None:
    await send(catalog, collection, machine(1))
    key = image_id(b"1")
    async with catalog.writing() as session:
        await images.edit(session, collection.id, key, SceneDescription.from_text("a wolf"))
    newer = RECIPE.model_copy(update={"prompt": "p-2"})
    async with catalog.writing() as session:
        await recipes.remember_caption(session, newer)
    again = Publication(**{**_fields(machine(1)), "variant": newer.fingerprint(), "recipe": newer.fingerprint()})
    assert await send(catalog, collection, again) == PublishCounts(superseded_by_edit=1)
    async with catalog.writing() as session:
        view = await images.get(session, collection.id, key)
        assert (view.source, view.description.detail) == ("person", "a wolf")
        before = (await collections.get(session, "c")).generation
        assert await images.delete(session, collection.id, [key]) == 1
        assert (await embeddings.removed_since(session, collection.id, before)).tolist() == [view.row]
        with pytest.raises(NotFound, match="no image"):
            await images.get(session, collection.id, key)


async def test_a_persons_edit_in_the_same_batch_is_not_lost(catalog: Catalog, collection: CollectionRow) -> None:
    edit = Publication(image_id(b"1"), "bytes", SceneDescription.from_text("a wolf"), "person", variant="person:1")
    await send(catalog, collection, edit, machine(1))
    async with catalog.reading() as session:
        assert (await images.get(session, collection.id, image_id(b"1"))).description.detail == "a wolf"


async def test_a_patch_removes_only_the_keys_it_names(catalog: Catalog, collection: CollectionRow) -> None:
    await send(catalog, collection, machine(1))
    async with catalog.writing() as session:
        await images.set_metadata(session, collection.id, image_id(b"1"), {"deep": {"a": None, "b": 1}, "x": 1})
        view = await images.set_metadata(session, collection.id, image_id(b"1"), {"n": None, "y": 2})
    assert view.metadata == {"deep": {"a": None, "b": 1}, "x": 1, "y": 2}


async def test_the_keys_to_a_deleted_collection_are_gone(catalog: Catalog, collection: CollectionRow) -> None:
    now = datetime.now(UTC)
    async with catalog.writing() as session:
        await keys.add(session, KeyRow("k", "", "c", "admin", now, None, None), b"hmac")
        await collections.delete(session, "c")
        assert await keys.by_hmac(session, b"hmac") is None


async def test_an_import_can_go_back_to_an_earlier_text(catalog: Catalog, collection: CollectionRow) -> None:
    texts = ["a cat", "a dog", "a cat"]
    for text in texts:
        row = Publication(image_id(b"x"), "external", SceneDescription.from_text(text), "import", variant=text)
        assert await send(catalog, collection, row) == PublishCounts(published=1)
    async with catalog.reading() as session:
        assert (await images.get(session, collection.id, image_id(b"x"))).description.detail == "a cat"


async def test_vectors_come_back_as_they_went_in(catalog: Catalog, collection: CollectionRow) -> None:
    await send(catalog, collection, *(machine(n) for n in range(7)))
    vectors = np.random.default_rng(0).normal(size=(7, 1, 4)).astype(np.float32)
    async with catalog.writing() as session:
        encoder = await recipes.remember_encoder(session, ENCODER)
        todo = await embeddings.missing(session, collection.id, encoder, 100)
        await embeddings.store(
            session, collection.id, encoder, [(row, plain(vectors[i])) for i, (row, _) in enumerate(todo)]
        )
        assert await embeddings.count_missing(session, collection.id, encoder) == 0
        got = [batch async for batch in embeddings.stream(session, collection.id, ENCODER, batch=3)]
    assert [len(batch.rows) for batch in got] == [3, 3, 1]
    assert np.array_equal(np.concatenate([batch.vectors for batch in got]), vectors)


async def test_a_failure_is_forgotten_when_the_image_is_described(catalog: Catalog, collection: CollectionRow) -> None:
    fingerprint = RECIPE.fingerprint()
    failed = Failed(image_id=image_id(b"1"), reason=FailureReason.READ_ERROR)
    refused = Refused(image_id=image_id(b"2"), reason=RefusalReason.EMPTY)
    async with catalog.writing() as session:
        await publishing.record_outcomes(
            session, collection.id, [(failed, None, fingerprint), (refused, "file:///2", fingerprint)]
        )
    await send(catalog, collection, machine(1))
    async with catalog.reading() as session:
        stored = await session.execute(select(outcomes.c.reason).where(outcomes.c.collection_id == collection.id))
        assert stored.scalars().all() == ["empty"]
        known = await publishing.known_under(
            session, collection.id, fingerprint, [image_id(b"1"), image_id(b"2"), image_id(b"3")]
        )
    assert known == {image_id(b"1"), image_id(b"2")}


async def test_collections_are_made_once_and_leave_nothing_behind(catalog: Catalog, collection: CollectionRow) -> None:
    await send(catalog, collection, machine(1))
    async with catalog.writing() as session:
        with pytest.raises(Conflict, match="exists already"):
            await collections.create(session, Collection(name="c"))
        assert (await collections.ensure(session, Collection(name="c"))).id == collection.id
        await collections.delete(session, "c")
        with pytest.raises(NotFound, match="no collection"):
            await collections.get(session, "c")


def _fields(row: Publication) -> dict[str, object]:
    return {name: getattr(row, name) for name in Publication.__slots__}
