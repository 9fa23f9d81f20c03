"""Stored searches: at once when it is quiet, in batches under load, never dropped silently."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from app.search.log import BatchLog, batching
from scenes.catalog import collections, searches
from scenes.catalog.connection import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.collection import Collection
from scenes.errors import EnvironmentMissing, NotFound, Overloaded


def search(collection_id: int) -> StoredSearch:
    now = datetime.now(UTC)
    return StoredSearch(uuid.uuid4(), collection_id, None, None, None, 1, (), now, now + timedelta(days=1))


async def is_stored(catalog: Catalog, one: StoredSearch) -> bool:
    async with catalog.reading() as session:
        try:
            return (await searches.get(session, one.id)).id == one.id
        except NotFound:
            return False


@pytest.mark.postgres
async def test_the_first_is_stored_at_once_and_all_are_at_the_end(catalog: Catalog) -> None:
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="c"))
    rows = [search(row.id) for _ in range(1_200)]
    async with batching(catalog) as log:
        await log.put(rows[0])
        assert await is_stored(catalog, rows[0])
        for one in rows[1:]:
            await log.put(one)
        assert log.waiting > 1_000
        await log.flush_for(rows[-1].id)
        assert await is_stored(catalog, rows[-1])
        last = [search(row.id) for _ in range(10)]
        await asyncio.gather(*(log.put(one) for one in last))
    assert all([await is_stored(catalog, one) for one in (rows[600], *last)])


@pytest.mark.postgres
async def test_what_was_committed_as_the_connection_broke_is_stored_once(catalog: Catalog) -> None:
    async with catalog.writing() as session:
        one = search((await collections.ensure(session, Collection(name="c"))).id)
    async with batching(catalog) as log:
        await log.put(one)
        assert await is_stored(catalog, one)
        await log.put(one)
        await log.flush()
        assert log.waiting == 0


@pytest.mark.http
async def test_while_postgres_is_away_searches_wait_and_then_are_refused() -> None:
    log = BatchLog(Catalog.connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing"), most=2)
    await log.put(search(1))
    await log.put(search(1))
    with pytest.raises(Overloaded):
        await log.put(search(1))
    with pytest.raises(EnvironmentMissing):
        await log.flush()
    assert log.waiting == 2
