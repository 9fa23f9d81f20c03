"""The GPU replica's own logic, with a scripted device: no GPU was seen where these tests were written.

That every index's contract holds for it too is shown in test_vector_index.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.releases.searcher import Searcher
from indexer.vectors import faiss_gpu
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.gpu_replica import REASONS, Accelerator, GpuReplica
from indexer.vectors.measuring import sample, stand_ins
from indexer.vectors.vector_store import VectorStore
from scenes.catalog.connection import Catalog
from scenes.errors import Corrupt, EnvironmentMissing
from tests.indexer.vectors.scripted_device import ScriptedDevice, failing, sleeping
from tests.indexer.world import World

pytestmark = pytest.mark.faiss


def store(n: int = 3_000) -> VectorStore:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(n, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return VectorStore.of(vectors, np.arange(5, 5 + n, dtype=np.int64))


def replica(device: ScriptedDevice, known: VectorStore, silent_s: float = 5) -> tuple[GpuReplica, list[str]]:
    told: list[str] = []
    return GpuReplica(ExactIndex(known), device, told.append, silent_s), told


def test_it_answers_as_exact_search_does_to_the_last_bit() -> None:
    known = store()
    device = ScriptedDevice(known)
    index, told = replica(device, known)
    queries = stand_ins(sample(known, 40, 8), 8)
    for k in (1, 10, 100):
        for found, right in zip(index.search(queries, k), ExactIndex(known).search(queries, k), strict=True):
            assert np.array_equal(found.ids, right.ids)
            assert np.array_equal(found.scores, right.scores)
    assert told == []


def test_many_threads_share_batches_on_one_thread_of_the_devices_own() -> None:
    known = store()
    device = ScriptedDevice(known, sleeping(0.01, since=2))
    index, told = replica(device, known)
    queries = sample(known, 200, 5)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda query: index.search(query[None, :], 1)[0], queries))
    assert [hits.ids.tolist() for hits in found] == [one.ids.tolist() for one in ExactIndex(known).search(queries, 1)]
    assert (len(device.threads), device.overlapped, told) == (1, False, [])
    assert threading.get_ident() not in device.threads
    assert len(device.batches) < 120
    assert max(device.batches[1:]) > 4


@pytest.mark.parametrize("lie", [0.01, -0.01, float("nan")])
def test_a_device_that_tells_wrong_scores_never_serves(lie: float) -> None:
    known = store()
    with pytest.raises(Corrupt, match="self-test"):
        replica(ScriptedDevice(known, lie=lie), known)


def test_a_device_that_misses_neighbours_never_serves() -> None:
    known = store()
    elsewhere = VectorStore.of(known.vectors[::-1].copy(), known.ids)
    with pytest.raises(Corrupt, match="self-test"):
        replica(ScriptedDevice(elsewhere), known)


def test_a_device_that_fails_while_it_serves_is_left_for_good(caplog: pytest.LogCaptureFixture) -> None:
    known = store()
    device = ScriptedDevice(known, failing(since=2))
    index, told = replica(device, known)
    right = ExactIndex(known).search(known.vectors[:1], 5)[0]
    for _ in range(3):
        assert index.search(known.vectors[:1], 5)[0].ids.tolist() == right.ids.tolist()
    assert told == ["device_failed"] * 3
    assert (index.ended, len(device.batches)) == ("device_failed", 2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "out of memory" in caplog.text


def test_a_device_that_hangs_is_not_waited_for_twice() -> None:
    known = store()
    index, told = replica(ScriptedDevice(known, sleeping(3, since=2)), known, silent_s=0.8)
    started = time.perf_counter()
    for _ in range(3):
        assert index.search(known.vectors[:1], 5)[0].ids[0] == known.ids[0]
    assert time.perf_counter() - started < 2.4
    assert told == ["device_silent"] * 3


def test_more_equal_vectors_than_a_device_gives_are_the_masters() -> None:
    one = np.full((1, 16), 0.25, np.float32)
    known = VectorStore.of(np.tile(one, (5_000, 1)), np.arange(5_000, dtype=np.int64))
    index, told = replica(ScriptedDevice(known), known)
    assert index.search(one, 3)[0].ids.tolist() == [0, 1, 2]
    assert (told, index.ended) == (["unproven"], None)


def test_its_thread_ends_with_it() -> None:
    known = store(100)
    index, _ = replica(ScriptedDevice(known), known)
    before = threading.active_count()
    del index
    until = time.monotonic() + 5
    while threading.active_count() >= before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before - 1


@pytest.mark.skipif(faiss_gpu.seen() > 0, reason="a GPU is here")
def test_without_a_gpu_the_master_serves_and_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    master = ExactIndex(store(50))
    assert Accelerator(faiss_gpu.FaissGpu, told.append)(master) is master
    assert told == ["no_gpu"]
    assert "no GPU was seen" in caplog.text
    with pytest.raises(EnvironmentMissing) as missing:
        faiss_gpu.FaissGpu(master.store)
    assert missing.value.code == "gpu_missing"


def test_a_device_that_does_not_take_the_vectors_leaves_the_master() -> None:
    told: list[str] = []
    master = ExactIndex(store(50))
    assert Accelerator(lambda known: ScriptedDevice(known, lie=1), told.append)(master) is master
    assert told == ["self_test"]
    assert set(told) <= set(REASONS)


@pytest.mark.postgres
async def test_releases_are_searched_on_the_device_and_what_is_fresh_beside_it(catalog: Catalog, home: Path) -> None:
    devices: list[ScriptedDevice] = []

    def device_of(known: VectorStore) -> ScriptedDevice:
        devices.append(ScriptedDevice(known))
        return devices[-1]

    world = World(catalog, home)
    world.searcher = Searcher(catalog, world.encoder.recipe, home, Accelerator(device_of, pytest.fail))
    await world.add("aaa", "bbb", "ccc")
    await world.refresh(always=True)
    assert (await world.find("bbb", 1)) == ["bbb"]
    asked = len(devices[0].batches)
    await world.delete("bbb")
    await world.add("bbd")
    assert sorted(await world.find("bbb", 9)) == ["aaa", "ccc"]
    assert len(devices[0].batches) > asked
    await world.refresh()
    assert (await world.find("bbb", 1)) == ["bbd"]
