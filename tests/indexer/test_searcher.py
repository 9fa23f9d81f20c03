"""Releases and the delta beside them: fresh at once, gone at once, the same as exact search."""

import asyncio
from pathlib import Path

import pytest

from indexer.embedding import embed_missing
from indexer.refresh import refresh
from indexer.release import build, open_release, releases_folder
from indexer.searcher import Searcher
from scenes.catalog import collections, images, publishing, releases
from scenes.catalog.engine import Catalog
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import Corrupt
from scenes.identity import external_image_id
from tests.indexer.letters import BagOfLetters

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


class World:
    def __init__(self, catalog: Catalog, home: Path) -> None:
        self.catalog, self.home, self.encoder = catalog, home, BagOfLetters()
        self.searcher = Searcher(catalog, self.encoder.recipe, home)

    async def add(self, *texts: str) -> None:
        rows = [
            Publication(external_image_id(t), "external", SceneDescription(detail=t), "import", t, external_id=t)
            for t in texts
        ]
        async with self.catalog.writing() as session:
            collection = await collections.ensure(session, Collection(name="c"))
            await publishing.publish(session, collection.id, rows)

    async def find(self, text: str, k: int = 3) -> list[str]:
        async with self.catalog.reading() as session:
            collection = await collections.get(session, "c")
        snapshot = await self.searcher.snapshot(collection)
        found = snapshot.search(self.encoder.encode_queries([text]).vectors[0], k)
        async with self.catalog.reading() as session:
            views = await images.by_rows(session, collection.id, found.rows.tolist())
        return [views[row].external_id or "" for row in found.rows.tolist()]

    async def refresh(self, *, always: bool = False) -> None:
        await refresh(self.catalog, "c", self.encoder, self.home, always=always)


@pytest.fixture
def world(catalog: Catalog, home: Path) -> World:
    return World(catalog, home)


async def test_fresh_ones_are_found_beside_the_release_and_deleted_ones_are_gone(world: World) -> None:
    await world.add(*(f"text number {i} zebra" for i in range(40)), "quick fox")
    await world.refresh()
    assert (await world.find("quick fox"))[0] == "quick fox"
    await world.add("jumping walrus")
    await world.refresh()
    assert (await world.find("jumping walrus"))[0] == "jumping walrus"
    async with world.catalog.writing() as session:
        collection = await collections.get(session, "c")
        release = await releases.active(session, collection.id)
        assert release is not None
        assert release.rows == 41
        await images.delete(session, collection.id, [external_image_id("quick fox")])
    assert "quick fox" not in await world.find("quick fox", 100)
    assert len(await world.find("zebra", 100)) == 41


async def test_what_is_embedded_after_a_build_or_a_search_is_found(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    await world.add("zzz")
    assert "zzz" not in await world.find("zzz", 10)
    async with world.catalog.reading() as session:
        collection = await collections.get(session, "c")
    await build(world.catalog, collection, world.encoder.recipe, world.home)
    await embed_missing(world.catalog, collection.id, world.encoder)
    assert (await world.find("zzz", 10))[0] == "zzz"


async def test_an_edited_image_is_found_until_and_after_it_is_embedded(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    async with world.catalog.writing() as session:
        collection = await collections.get(session, "c")
        await images.edit(session, collection.id, external_image_id("aaa"), SceneDescription(detail="xyxyxy"))
    assert sorted(await world.find("aaa", 10)) == ["aaa", "bbb"]
    await world.refresh()
    assert (await world.find("xyxyxy", 10))[0] == "aaa"


async def test_builders_take_turns(world: World) -> None:
    await world.add("aaa", "bbb")
    await asyncio.gather(*(world.refresh(always=True) for _ in range(3)))
    assert sorted(await world.find("aaa", 10)) == ["aaa", "bbb"]


async def test_rollback_changes_nothing_that_is_found(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    await world.add("ccc")
    await world.refresh(always=True)
    async with world.catalog.writing() as session:
        collection = await collections.get(session, "c")
        assert (await releases.rollback(session, collection.id)).rows == 2
    assert sorted(await world.find("abc", 10)) == ["aaa", "bbb", "ccc"]


async def test_a_damaged_release_is_told_not_served(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    async with world.catalog.reading() as session:
        release = await releases.active(session, (await collections.get(session, "c")).id)
    assert release is not None
    file = releases_folder(world.home) / release.folder / "index.faiss"
    file.write_bytes(file.read_bytes()[:-4] + b"oops")
    with pytest.raises(Corrupt):
        open_release(release, world.home)
