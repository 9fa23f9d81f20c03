"""One contract for every vector index: the exact reference and FAISS."""

from pathlib import Path

import numpy as np
import pytest

from indexer.encoder import Vectors
from indexer.exact_index import ExactIndex
from indexer.faiss_index import FaissIndex
from indexer.vector_index import Ids, VectorIndex
from scenes.errors import Corrupt
from scenes.recipe import IndexRecipe

pytestmark = pytest.mark.faiss


def exact(vectors: Vectors, ids: Ids) -> VectorIndex:
    return ExactIndex(vectors, ids)


def faiss(vectors: Vectors, ids: Ids) -> VectorIndex:
    return FaissIndex.build(vectors, ids, IndexRecipe())


def data(n: int = 200, dim: int = 16) -> tuple[Vectors, Ids]:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(n, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, random.permutation(10 * n)[:n].astype(np.int64)


@pytest.fixture(params=[exact, faiss], ids=["exact", "faiss"])
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


def test_equal_scores_are_ordered_by_id(build: object) -> None:
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (12, 1))
    ids = np.arange(12, dtype=np.int64)[::-1].copy()
    assert build(vectors, ids).search(vectors[:1], 5)[0].ids.tolist() == [0, 1, 2, 3, 4]  # type: ignore[operator]


def test_a_saved_index_answers_the_same_and_a_cut_one_is_told(tmp_path: Path) -> None:
    vectors, ids = data()
    index = FaissIndex.build(vectors, ids, IndexRecipe())
    index.save(tmp_path)
    again = FaissIndex.load(tmp_path)
    assert again.search(vectors[:1], 9)[0].ids.tolist() == index.search(vectors[:1], 9)[0].ids.tolist()
    (tmp_path / "index.faiss").write_bytes(b"cut")
    with pytest.raises(Corrupt):
        FaissIndex.load(tmp_path)
