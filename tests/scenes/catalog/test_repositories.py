"""Releases, searches, keys and logins, each on the real Postgres."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from scenes.catalog import collections, keys, recipes, releases, searches, sessions
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import KeyRow
from scenes.catalog.releases import Release
from scenes.catalog.searches import StoredSearch
from scenes.collection import Collection
from scenes.errors import NotFound
from scenes.identity import external_image_id
from scenes.recipe import EncoderRecipe, IndexRecipe

pytestmark = pytest.mark.postgres
ENCODER = EncoderRecipe(model="e", weights_digest="0" * 64, wording="whole-1", dimensions=4, max_tokens=16)


@pytest.fixture
async def collection(catalog: Catalog) -> CollectionRow:
    async with catalog.writing() as session:
        await recipes.remember_encoder(session, ENCODER)
        return await collections.create(session, Collection(name="c"))


def release(collection: CollectionRow, rows: int) -> Release:
    return Release(
        id=uuid.uuid4(),
        collection_id=collection.id,
        encoder=ENCODER.fingerprint(),
        index_recipe=IndexRecipe(kind="exact", parameters={"n": rows}),
        generation=rows,
        rows=rows,
        folder=f"1/{rows}",
        manifest_sha256="f" * 64,
        recall_at_10=None,
        created_at=datetime.now(UTC),
    )


async def test_releases_flip_and_roll_back(catalog: Catalog, collection: CollectionRow) -> None:
    first, second = release(collection, 1), release(collection, 2)
    async with catalog.writing() as session:
        assert await releases.active(session, collection.id) is None
        for one in (first, second):
            await releases.add(session, one)
        assert await releases.active(session, collection.id) is None
        await releases.flip(session, collection.id, first.id)
        with pytest.raises(NotFound) as told:
            await releases.rollback(session, collection.id)
        assert told.value.code == "release_previous_missing"
        await releases.flip(session, collection.id, second.id)
        assert await releases.active(session, collection.id) == second
        assert await releases.rollback(session, collection.id) == first
        assert await releases.rollback(session, collection.id) == second


def search(collection: CollectionRow, expires: timedelta) -> StoredSearch:
    now = datetime.now(UTC)
    found = ((external_image_id("a"), 0.75), (external_image_id("b"), 0.5))
    return StoredSearch(uuid.uuid4(), collection.id, None, "a dog", b"hash", 2, found, now, now + expires)


async def test_searches_come_back_until_they_expire(catalog: Catalog, collection: CollectionRow) -> None:
    fresh, old = search(collection, timedelta(hours=1)), search(collection, timedelta(seconds=-1))
    async with catalog.writing() as session:
        await searches.store(session, [fresh, old])
        await searches.store(session, [])
    async with catalog.writing() as session:
        assert await searches.get(session, fresh.id) == fresh
        with pytest.raises(NotFound, match="no stored search"):
            await searches.get(session, old.id)
        assert await searches.purge_expired(session) == 1
        assert await searches.purge_expired(session) == 0
        assert await searches.get(session, fresh.id) == fresh


NEWER = "key_0000000000000002"


def key(name: str, age: timedelta) -> KeyRow:
    return KeyRow(name, f"the {name}", "c", "search", datetime.now(UTC) - age, None, None)


async def test_keys_are_found_by_their_hmac_and_revoked_once(catalog: Catalog) -> None:
    newer, older = key(NEWER, timedelta(0)), key("key_0000000000000001", timedelta(days=1))
    async with catalog.writing() as session:
        await keys.add(session, newer, b"1")
        await keys.add(session, older, b"2")
        assert await keys.all_(session) == [older, newer]
        assert await keys.by_hmac(session, b"1") == newer
        assert await keys.by_hmac(session, b"3") is None
        revoked = await keys.revoke(session, NEWER)
        assert revoked.revoked_at is not None
        with pytest.raises(NotFound) as told:
            await keys.revoke(session, "key_0000000000000003")
        assert told.value.code == "key_unknown"
    async with catalog.writing() as session:
        assert (await keys.revoke(session, NEWER)).revoked_at == revoked.revoked_at
        assert await keys.by_hmac(session, b"1") == revoked


async def test_a_login_token_is_spent_once_and_before_it_expires(catalog: Catalog) -> None:
    now = datetime.now(UTC)
    async with catalog.writing() as session:
        await sessions.add_login(session, b"good", now + timedelta(hours=1))
        await sessions.add_login(session, b"late", now - timedelta(seconds=1))
        spent = [await sessions.spend_login(session, token) for token in (b"good", b"good", b"late", b"never")]
    assert spent == [True, False, False, False]
