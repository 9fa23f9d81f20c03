"""One contract for every vector index: the exact reference, FAISS, and the replica for GPUs on a scripted device."""

from pathlib import Path

import numpy as np
import pytest

from indexer.encoding.encoder import Vectors
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import Effort, FaissIndex
from indexer.vectors.gpu_replica import GpuReplica
from indexer.vectors.measuring import measured, recall, sample, stand_ins, truth
from indexer.vectors.tuning import PROMISED_RECALL, held, tuned
from indexer.vectors.vector_index import Ids, VectorIndex
from indexer.vectors.vector_store import VectorStore
from scenes.errors import Corrupt
from tests.indexer.vectors.scripted_device import ScriptedDevice

pytestmark = pytest.mark.faiss


def exact(vectors: Vectors, ids: Ids) -> VectorIndex:
    return ExactIndex.of(vectors, ids)


def hnsw_int8(vectors: Vectors, ids: Ids) -> VectorIndex:
    return FaissIndex.build(VectorStore.of(vectors, ids), "hnsw-int8", 16)


def ivf_sq8(vectors: Vectors, ids: Ids) -> VectorIndex:
    return FaissIndex.build(VectorStore.of(vectors, ids), "ivf-sq8", 8)


def ivf_fp16(vectors: Vectors, ids: Ids) -> VectorIndex:
    return FaissIndex.build(VectorStore.of(vectors, ids), "ivf-fp16", 8)


def data(n: int = 200, dim: int = 16) -> tuple[Vectors, Ids]:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(n, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, random.permutation(10 * n)[:n].astype(np.int64)


def gpu_replica(vectors: Vectors, ids: Ids) -> VectorIndex:
    """Of a graph, on a scripted device."""
    master = FaissIndex.build(VectorStore.of(vectors, ids), "hnsw-int8", 16)
    return GpuReplica(master, ScriptedDevice(master.store), lambda _reason: None)


KINDS = {"exact": exact, "hnsw-int8": hnsw_int8, "ivf-sq8": ivf_sq8, "ivf-fp16": ivf_fp16, "gpu-replica": gpu_replica}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def build(request: pytest.FixtureRequest) -> object:
    return request.param


def test_the_best_come_first_and_never_too_many(build: object) -> None:
    vectors, ids = data()
    index = build(vectors, ids)  # type: ignore[operator]
    assert (index.count, index.dimensions) == (200, 16)
    for query, hits in zip(vectors[:5], index.search(vectors[:5], 10), strict=True):
        truth = np.lexsort((ids, -(vectors @ query)))[:10]
        assert hits.ids.tolist() == ids[truth].tolist()
        assert np.all(np.diff(hits.scores) <= 0)


def test_asking_for_more_than_there_is_gives_what_there_is(build: object) -> None:
    vectors, ids = data(7)
    hits = build(vectors, ids).search(vectors[:1], 1_000)[0]  # type: ignore[operator]
    assert sorted(hits.ids.tolist()) == sorted(ids.tolist())
    empty = build(vectors[:0], ids[:0])  # type: ignore[operator]
    assert empty.search(vectors[:1], 5)[0].ids.tolist() == []


def test_only_allowed_ids_are_found(build: object) -> None:
    vectors, ids = data()
    allowed = np.sort(ids[::7])
    hits = build(vectors, ids).search(vectors[:3], 500, allowed)  # type: ignore[operator]
    assert all(set(one.ids.tolist()) == set(allowed.tolist()) for one in hits)


def test_equal_scores_are_ordered_by_id_however_many_there_are(build: object) -> None:
    random = np.random.default_rng(5)
    one = random.normal(size=(1, 37)).astype(np.float32)
    vectors = np.tile(one / np.linalg.norm(one), (613, 1))
    ids = random.permutation(5_000)[:613].astype(np.int64)
    hits = build(vectors, ids).search(vectors[:1], 5)[0]  # type: ignore[operator]
    assert hits.ids.tolist() == np.sort(ids)[:5].tolist()


def test_vectors_come_back_and_unknown_ids_are_told(build: object) -> None:
    vectors, ids = data()
    back = build(vectors, ids).vectors(np.array([ids[3], -5, ids[0], 10**9]))  # type: ignore[operator]
    assert np.array_equal(back[[0, 2]], vectors[[3, 0]])
    assert np.all(np.isnan(back[[1, 3]]))


@pytest.mark.parametrize("kind", ["hnsw-int8", "ivf-sq8", "ivf-fp16"])
def test_a_saved_index_answers_the_same_and_a_cut_one_is_told(tmp_path: Path, kind: str) -> None:
    vectors, ids = data()
    index = FaissIndex.build(VectorStore.of(vectors, ids), kind, 8).with_effort(Effort((2, 4, 8), 4))
    index.save(tmp_path)
    again = FaissIndex.load(tmp_path)
    assert again.recipe == index.recipe
    (tmp_path / "copy").mkdir()
    again.save(tmp_path / "copy")
    copy = FaissIndex.load(tmp_path / "copy")
    assert copy.search(vectors[:1], 9)[0].ids.tolist() == index.search(vectors[:1], 9)[0].ids.tolist()
    assert again.search(vectors[:1], 9)[0].ids.tolist() == index.search(vectors[:1], 9)[0].ids.tolist()
    (tmp_path / "index.faiss").unlink()  # what is mapped already stays whole
    (tmp_path / "index.faiss").write_bytes(b"cut")
    with pytest.raises(Corrupt):
        FaissIndex.load(tmp_path)


def test_reading_few_lists_still_gives_as_many_as_were_asked_for() -> None:
    vectors, ids = data(2_000)
    index = FaissIndex.build(VectorStore.of(vectors, ids), "ivf-sq8", 64).with_effort(Effort((1, 1, 1), 2))
    assert len(index.search(vectors[:1], 1_500)[0].ids) == 1_500


@pytest.mark.parametrize(("kind", "size"), [("hnsw-int8", 4), ("ivf-sq8", 64)])
def test_the_tuner_reaches_what_it_is_asked_for_with_less_than_everything(kind: str, size: int) -> None:
    vectors, ids = data(4_000, 16)
    store = VectorStore.of(vectors, ids)
    built = FaissIndex.build(store, kind, size)
    index = held(tuned(built, store, stand_ins(sample(store, 60, 7), 7)), store, stand_ins(sample(store, 60, 6), 6))
    queries = stand_ins(sample(store, 100, 8), 8)
    right = truth(store, queries, 100)
    assert right[0].ids.tolist() == ExactIndex(store).search(queries[:1], 100)[0].ids.tolist()
    assert (recall(index, queries, right, 10) or 0) >= PROMISED_RECALL
    assert (recall(index, queries, right, 100) or 0) >= PROMISED_RECALL
    assert index.recipe.parameters["reach"][0] < index.most
    one = recall(index.with_effort(Effort((1, 1, 1), 2)), queries, right, 10)
    assert one is not None
    assert one < 0.9


def test_an_index_tuned_by_too_few_queries_is_held_to_the_promise() -> None:
    vectors, ids = data(4_000, 16)
    store = VectorStore.of(vectors, ids)
    index = FaissIndex.build(store, "ivf-sq8", 64)
    queries = stand_ins(sample(store, 200, 9), 9)
    badly = tuned(index, store, queries[:1])
    assert (measured(badly, store, queries) or 0) < PROMISED_RECALL
    assert (measured(held(badly, store, queries), store, queries) or 0) >= PROMISED_RECALL


@pytest.mark.parametrize(("kind", "size", "reach"), [("hnsw-int8", 16, 100), ("ivf-sq8", 128, 40)])
def test_many_allowed_ids_are_found(kind: str, size: int, reach: int) -> None:
    vectors, ids = data(52_000, 8)
    store = VectorStore.of(vectors, ids)
    index = FaissIndex.build(store, kind, size).with_effort(Effort((reach, reach, reach), 2))
    allowed = np.sort(np.random.default_rng(9).permutation(ids)[:51_000])
    queries = stand_ins(sample(store, 50, 9), 9)
    right = ExactIndex(store).search(queries, 10, allowed)
    found = index.search(queries, 10, allowed)
    assert all(np.isin(one.ids, allowed).all() for one in found)
    good = [np.mean(f.scores >= r.scores[-1]) for f, r in zip(found, right, strict=True)]
    assert np.mean(good) >= PROMISED_RECALL
