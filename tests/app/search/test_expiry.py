"""Stored searches are gone from Postgres when they have expired, and not before."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.search.expiry import purge, purging
from scenes.catalog import collections, searches
from scenes.catalog.connection import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.catalog.tables import searches as table
from scenes.collection import Collection

pytestmark = pytest.mark.postgres


async def keep(catalog: Catalog, *lives: timedelta) -> list[uuid.UUID]:
    now = datetime.now(UTC)
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="c"))
        stored = [StoredSearch(uuid.uuid4(), row.id, None, None, None, 1, (), now, now + life) for life in lives]
        await searches.store(session, stored)
    return [search.id for search in stored]


async def ids(catalog: Catalog) -> set[uuid.UUID]:
    async with catalog.reading() as session:
        return {row.id for row in await session.execute(select(table.c.id))}


async def test_only_expired_searches_are_deleted(catalog: Catalog) -> None:
    _, kept = await keep(catalog, timedelta(seconds=-1), timedelta(days=1))
    assert await purge(catalog) == 1
    assert await ids(catalog) == {kept}


async def test_a_running_server_purges_again_and_again(catalog: Catalog) -> None:
    async with purging(catalog, timedelta(milliseconds=50)):
        for _ in range(2):
            await keep(catalog, timedelta(seconds=-1))
            async with asyncio.timeout(10):
                while await ids(catalog):  # noqa: ASYNC110 - the database tells no one when a row is gone
                    await asyncio.sleep(0.02)
