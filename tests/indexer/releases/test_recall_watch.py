"""Sampled searches are held against exact search: the metric, the alarm, and what `index status` reads."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from app.http.telemetry.metrics import Metrics
from indexer.releases.delta import Delta
from indexer.releases.index_reader import Snapshot
from indexer.releases.recall_sample import RecallSampler, Taken, compared, exact
from indexer.releases.recall_watch import ENOUGH, RecallWatch, is_below_promise
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import Effort, FaissIndex
from indexer.vectors.vector_index import vector_ids
from indexer.vectors.vector_store import VectorStore
from scenes.catalog import recall
from scenes.catalog.connection import Catalog
from scenes.catalog.recall import Sampled
from tests.indexer.world import World

pytestmark = pytest.mark.faiss


def made(views: int) -> Snapshot:
    """Fifty images in a release, ten of them hidden, and twenty beside it."""
    random = np.random.default_rng(views)
    vectors = random.normal(size=(70, views, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    rows = np.sort(random.permutation(1_000)[:70]).astype(np.int64)
    index = ExactIndex.of(vectors[:50].reshape(-1, 8), vector_ids(rows[:50], views))
    delta = Delta.empty(views, 8).changed(rows[45:], vectors[45:], rows[:0])
    hidden = np.sort(np.concatenate([rows[:5], rows[45:50]]))
    return Snapshot(1, 1, None, None, index, delta, hidden)


@pytest.mark.parametrize("views", [1, 3])
def test_exact_search_over_everything_is_what_an_exact_snapshot_finds(views: int) -> None:
    snapshot = made(views)
    random = np.random.default_rng(7)
    for _ in range(30):
        query = random.normal(size=8).astype(np.float32)
        query /= np.linalg.norm(query)
        for k in (1, 10, 100):
            right, found = exact(snapshot, query, k), snapshot.search(query, k)
            assert np.array_equal(right.rows, found.rows)
            assert np.array_equal(right.scores, found.scores)
    bare = replace(snapshot, index=None)
    assert np.array_equal(exact(bare, query, 5).rows, bare.search(query, 5).rows)


def test_one_search_is_taken_each_time() -> None:
    snapshot, query = made(1), np.ones(8, np.float32)
    never = RecallSampler(timedelta(0))
    never.offer(replace(snapshot, release=object()), query, 10)  # type: ignore[arg-type]
    assert never.take() is None
    sampler = RecallSampler(timedelta(hours=1))
    sampler.offer(snapshot, query, 10)
    assert sampler.take() is None  # nothing to promise without a release
    there = replace(snapshot, release=object())  # type: ignore[arg-type]
    sampler.offer(there, query, 10)
    sampler.offer(there, -query, 10)
    taken = sampler.take()
    assert taken is not None
    assert taken.query is query
    assert sampler.take() is None


def test_few_samples_are_no_alarm() -> None:
    assert not is_below_promise(Sampled(ENOUGH - 1, 10 * ENOUGH, 0))
    assert is_below_promise(Sampled(ENOUGH, 10 * ENOUGH, 9 * ENOUGH))
    assert not is_below_promise(Sampled(ENOUGH, 10 * ENOUGH, 10 * ENOUGH))
    assert not is_below_promise(Sampled(ENOUGH, 0, 0))


@pytest.mark.postgres
async def test_a_badly_tuned_release_raises_the_alarm_and_a_good_one_ends_it(
    catalog: Catalog, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(catalog, home)
    random = np.random.default_rng(4)
    await world.add(*{"".join(random.choice(list("abcdefghijklmnop"), 12)) for _ in range(700)})
    await world.refresh()
    good = await world.snapshot()
    assert isinstance(good.index, ExactIndex)
    lists = FaissIndex.build(VectorStore(good.index.store.ids, good.index.store.vectors), "ivf-sq8", 32)
    bad = replace(good, index=lists.with_effort(Effort((1, 1, 1), 1.5)))
    metrics = Metrics()
    watch = RecallWatch(catalog, RecallSampler(timedelta(hours=1)), metrics)
    queries = world.encoder.encode_queries(["".join(random.choice(list("abcdefghijklmnop"), 4)) for _ in range(60)])
    for query in queries.vectors:
        await watch.look_at(Taken(bad, query, 10))
    assert list(watch.below()) == [good.collection_id]
    assert "below the promised" in caplog.text
    assert "wordsight_recall_below_promise 1.0" in metrics.text().decode()
    assert good.release is not None
    async with catalog.reading() as session:
        kept = await recall.newest(session, good.release.id)
        few = await recall.newest(session, good.release.id, most=7)
        none = await recall.newest(session, uuid4())
    assert (kept.searches, few.searches, none) == (60, 7, Sampled(0, 0, 0))
    assert is_below_promise(kept)
    missed = kept.wanted - kept.found
    assert f'wordsight_recall_neighbours_total{{served="no"}} {float(missed)}' in metrics.text().decode()
    caplog.clear()
    caplog.set_level(logging.ERROR)
    for query in np.tile(queries.vectors, (4, 1))[: recall.WINDOW]:
        await watch.look_at(Taken(good, query, 50))
    assert watch.below() == {}
    assert "keeps its promise again" in caplog.text
    assert "wordsight_recall 1.0" in metrics.text().decode()
    assert compared(Taken(good, queries.vectors[0], 3)) == (3, 3)


@pytest.mark.postgres
async def test_a_watching_server_samples_what_it_serves(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home)
    await world.add("aaa", "bbb")
    await world.refresh()
    snapshot = await world.snapshot()
    watch = RecallWatch(catalog, RecallSampler(timedelta(hours=1)), Metrics())
    async with watch.watching(timedelta(milliseconds=10)):
        watch.sampler.offer(snapshot, world.encoder.encode_queries(["a"]).vectors[0], 10)
        for _ in range(200):
            if watch.known:
                break
            await world.collection()
    assert snapshot.release is not None
    async with catalog.reading() as session:
        assert await recall.newest(session, snapshot.release.id) == Sampled(1, 2, 2)
