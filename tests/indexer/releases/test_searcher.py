"""Releases and the delta beside them: fresh at once, gone at once, the same as exact search."""

import asyncio
import resource
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from indexer.encoding.embedding import embed_missing
from indexer.releases.delta import Delta
from indexer.releases.index_reader import Snapshot
from indexer.releases.release import build, open_release, releases_folder
from indexer.releases.searcher import Searcher
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.scoring import exact_scores
from indexer.vectors.vector_index import vector_ids
from indexer.vectors.vector_store import VECTORS
from scenes.catalog import collections, images, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.errors import Corrupt, EnvironmentMissing
from scenes.identity import external_image_id
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


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


async def test_an_edit_hides_the_old_vectors_at_once(world: World) -> None:
    """From the release and from the delta, in a process that saw the edit and in one that starts afterwards."""
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    await world.add("ccc")
    await world.refresh()
    assert (await world.find("aaa", 1), await world.find("ccc", 1)) == (["aaa"], ["ccc"])
    await world.edit("aaa", "xyxyxy")
    await world.edit("ccc", "zzz")
    for searcher in (world.searcher, fresh_searcher(world)):
        assert await world.find("aaa", 10, searcher) == ["bbb"]
        assert len((await world.snapshot(searcher)).pending) == 2
    await world.refresh()
    for searcher in (world.searcher, fresh_searcher(world)):
        assert (await world.find("xyxyxy", 1, searcher), await world.find("zzz", 1, searcher)) == (["aaa"], ["ccc"])
        assert len((await world.snapshot(searcher)).pending) == 0


async def test_whatever_changes_a_description_hides_its_old_vectors(world: World) -> None:
    """An undo finds the vectors of before; a text imported again, and a machine's, are waited for."""
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    await world.edit("aaa", "xyxyxy")
    await world.refresh()
    await world.undo("aaa")
    assert (await world.find("aaa", 1), len((await world.snapshot()).pending)) == (["aaa"], 0)
    for source in ("import", "machine"):
        await world.describe("bbb", f"described by {source}", source)
        assert await world.find("bbb", 10) == ["aaa"]
        await world.refresh()
        assert sorted(await world.find("bbb", 10)) == ["aaa", "bbb"]
    await world.describe("bbb", "bbb", "import")  # what was imported first, whose vectors are still there
    assert (await world.find("bbb", 1), len((await world.snapshot()).pending)) == (["bbb"], 0)


async def test_images_that_wait_are_counted_without_a_release_and_beside_one(world: World) -> None:
    await world.add("aaa", "bbb")
    assert (await world.snapshot()).pending.tolist() == (await world.rows("aaa", "bbb"))
    await world.refresh(always=True)
    assert len((await world.snapshot()).pending) == 0
    await world.add("ccc", "ddd", "eee")
    await world.delete("ddd")
    for searcher in (world.searcher, fresh_searcher(world)):
        assert (await world.snapshot(searcher)).pending.tolist() == await world.rows("ccc", "eee")
    assert len((await world.snapshot()).hidden) == 1  # what the release never had is not hidden: scans stay quick


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


async def damage(world: World) -> None:
    file = releases_folder(world.home) / (await world.active()).folder / VECTORS
    file.write_bytes(file.read_bytes()[:-4] + b"oops")


async def test_a_damaged_release_is_told_and_the_previous_one_answers(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    previous = await world.active()
    await world.add("ccc")
    await world.refresh(always=True)
    await damage(world)
    with pytest.raises(Corrupt):
        open_release(await world.active(), world.home)
    assert sorted(await world.find("abc", 10)) == ["aaa", "bbb", "ccc"]
    snapshot = await world.snapshot()
    assert snapshot.release == previous
    assert "artifact_corrupt" in (snapshot.trouble or "")
    assert list(world.searcher.troubles()) == [snapshot.collection_id]
    await world.delete("aaa")
    await world.add("ddd")
    await world.refresh(always=True)
    assert sorted(await world.find("abc", 10)) == ["bbb", "ccc", "ddd"]
    assert world.searcher.troubles() == {}


async def test_without_any_good_release_postgres_answers(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    shutil.rmtree(releases_folder(world.home))
    assert sorted(await world.find("abc", 10)) == ["aaa", "bbb"]
    snapshot = await world.snapshot()
    assert (snapshot.release, snapshot.trouble is None) == (None, False)


async def test_only_what_changed_is_read_again(world: World) -> None:
    await world.add(*(f"text {i}" for i in range(60)))
    await world.refresh(always=True)
    await world.add("aaa", "bbb")
    await embed_missing(world.catalog, (await world.collection()).id, world.encoder)
    first = await world.snapshot()
    await world.add("ccc")
    await embed_missing(world.catalog, first.collection_id, world.encoder)
    second = await world.snapshot()
    assert second.index is first.index
    assert (len(first.delta.rows), len(second.delta.rows)) == (2, 3)
    assert second.delta._buffer is first.delta._buffer
    fresh = await world.snapshot(Searcher(world.catalog, world.encoder.recipe, world.home))
    assert sorted(fresh.delta.rows.tolist()) == sorted(second.delta.rows.tolist())
    assert await world.find("aaabbbccc", 50) == await world.find("aaabbbccc", 50, fresh_searcher(world))


def fresh_searcher(world: World) -> Searcher:
    return Searcher(world.catalog, world.encoder.recipe, world.home)


@pytest.mark.parametrize("poll_s", [0.2, 600.0])
async def test_a_following_searcher_hears_of_changes_by_notice_and_by_polling(world: World, poll_s: float) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    stale = await world.collection()
    await world.snapshot()
    async with world.searcher.following(timedelta(seconds=poll_s)):
        await asyncio.sleep(0.3)
        await world.add("zzz")
        await embed_missing(world.catalog, stale.id, world.encoder)
        await world.delete("aaa")
        async with asyncio.timeout(60):
            while await shown(world, stale) != ["zzz", "bbb"]:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.1)


async def shown(world: World, stale: CollectionRow) -> list[str]:
    """What a request that itself knows of no change is shown."""
    snapshot = await world.searcher.snapshot(stale)
    rows = snapshot.search(world.encoder.encode_queries(["z"]).vectors[0], 10).rows.tolist()
    async with world.catalog.reading() as session:
        views = await images.by_rows(session, stale.id, rows)
    return [views[row].external_id if row in views else "" for row in rows]


async def test_a_request_of_a_following_searcher_does_not_wait_for_a_slow_reload(world: World) -> None:
    await world.add("aaa", "bbb")
    await world.refresh(always=True)
    before = await world.snapshot()
    async with world.searcher.following(timedelta(seconds=60)), world.catalog.writing() as session:
        await session.execute(text("LOCK TABLE tombstones IN ACCESS EXCLUSIVE MODE"))
        behind = replace(await world.collection(), generation=before.generation + 1)
        async with asyncio.timeout(30):
            assert await world.searcher.snapshot(behind) is before


def test_the_best_of_an_images_views_counts() -> None:
    """Exact over random vectors with several views each, half of them in the release and half in the delta."""
    random = np.random.default_rng(11)
    vectors = random.normal(size=(80, 3, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vectors[7] = vectors[3]
    rows = np.arange(80) * 5 + 2
    settled = Snapshot(
        collection_id=1,
        generation=1,
        active_release=None,
        release=None,
        index=ExactIndex.of(vectors[:40].reshape(-1, 8), vector_ids(rows[:40], 3)),
        delta=Delta.empty(3, 8).changed(rows[38:], vectors[38:], rows[:0]),
        hidden=rows[38:40],
    )
    alive = settled.delta.changed(rows[:0], vectors[:0], rows[70:])
    snapshot = replace(settled, delta=alive, hidden=np.sort(np.concatenate([rows[10:13], rows[38:40]])))
    there = np.concatenate([np.arange(10), np.arange(13, 70)])
    for query in vectors[random.permutation(80)[:20], 0]:
        best = np.array([float(exact_scores(vectors[i], query).max()) for i in there], np.float32)
        order = np.lexsort((rows[there], -best))[:15]
        found = snapshot.search(query, 15)
        assert found.rows.tolist() == rows[there][order].tolist()
        mine = [exact_scores(views, query).max() for views in snapshot.vectors(found.rows)]
        assert np.array_equal(mine, found.scores)
        few = np.sort(rows[there][::4])
        assert set(snapshot.search(query, 100, few).rows.tolist()) == set(few.tolist())
    assert np.all(np.isnan(snapshot.vectors(rows[10:13])))


async def test_a_full_disk_is_told_and_the_last_release_stays(world: World) -> None:
    await world.add("aaa", *(f"text {i}" for i in range(300)))
    await world.refresh(always=True)
    before = await world.active()
    await world.add("bbb")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (30_000, hard)
    )  # no file may grow beyond: writing fails as on a full disk
    try:
        with pytest.raises(EnvironmentMissing) as told:
            await world.refresh(always=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.code == "release_unwritable"
    assert await world.active() == before
    assert (await world.find("bbb", 1))[0] == "bbb"
    assert [path.name for path in (releases_folder(world.home) / str(before.collection_id)).iterdir()] == [
        str(before.id)
    ]


async def test_a_build_lets_postgres_count_what_is_there(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home)
    await world.add(*(f"image {i}" for i in range(300)))
    await world.refresh()
    async with catalog.reading() as session:
        told = "SELECT reltuples FROM pg_class WHERE relname IN ('images', 'descriptions', 'embeddings')"
        assert (await session.execute(text(told))).scalars().all() == [300.0] * 3
