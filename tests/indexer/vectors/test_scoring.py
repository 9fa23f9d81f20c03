"""The one exact score: right to one unit in the last place, and the same wherever a vector is stored."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.vectors.exact_index import ExactIndex, best_of_blocks
from indexer.vectors.scoring import exact_scores, exact_scores_of
from indexer.vectors.vector_store import VectorStore

DIMENSIONS = st.one_of(st.integers(1, 300), st.sampled_from([384, 385, 512, 768, 1_000, 1_024, 1_536]))
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def unaligned(vectors: np.ndarray) -> np.ndarray:
    """The same numbers, one byte away from where float32 is aligned."""
    room = np.empty(vectors.nbytes + 1, np.uint8)
    moved = room[1:].view(np.float32).reshape(vectors.shape)
    moved[:] = vectors
    return moved


@given(DIMENSIONS, st.integers(1, 60), SEEDS)
def test_a_score_is_right_to_its_last_place(dim: int, n: int, seed: int) -> None:
    vectors, query = drawn(seed, n, dim), drawn(seed + 1, dim)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = np.sum(vectors.astype(np.float64) * query.astype(np.float64), axis=1)
    scores = exact_scores(vectors, query)
    assert scores.dtype == np.float32
    assert np.all(np.abs(scores - right) <= np.spacing(np.abs(right).astype(np.float32)) + 1e-14)


@given(DIMENSIONS, st.integers(1, 60), SEEDS)
def test_a_score_does_not_depend_on_a_vectors_place(dim: int, n: int, seed: int) -> None:
    vectors, query = drawn(seed, n, dim), drawn(seed + 1, dim)
    scores = exact_scores(vectors, query)
    order = np.random.default_rng(seed).permutation(n)
    assert np.array_equal(exact_scores(vectors[order], query), scores[order])
    assert np.array_equal(exact_scores(vectors, query, order), scores[order])
    assert [float(exact_scores(vectors[i : i + 1], query)[0]) for i in range(n)] == scores.tolist()


@given(DIMENSIONS, st.integers(1, 20), SEEDS)
def test_a_score_does_not_depend_on_memory_order_or_alignment(dim: int, n: int, seed: int) -> None:
    vectors, query = drawn(seed, n, dim), drawn(seed + 1, dim)
    scores = exact_scores(vectors, query)
    fixed = vectors.copy()
    fixed.flags.writeable = False
    wider = np.zeros((2 * n, dim + 3), np.float32)
    wider[::2, 1 : dim + 1] = vectors
    for same in (np.asfortranarray(vectors), fixed, wider[::2, 1 : dim + 1], unaligned(vectors)):
        assert np.array_equal(exact_scores(same, query), scores)
    assert np.array_equal(exact_scores(vectors, np.repeat(query, 2)[::2]), scores)


@given(DIMENSIONS, st.lists(st.integers(0, 20), max_size=5), SEEDS)
def test_a_score_does_not_depend_on_the_queries_next_to_it(dim: int, counts: list[int], seed: int) -> None:
    vectors, queries = drawn(seed, 30, dim), drawn(seed + 1, len(counts), dim)
    places = [np.random.default_rng(seed + i).integers(0, 30, count) for i, count in enumerate(counts)]
    together = exact_scores_of(vectors, queries, places)
    assert len(together) == len(counts)
    for mine, scores, query in zip(places, together, queries, strict=True):
        assert np.array_equal(scores, exact_scores(vectors, query, mine))
        assert np.array_equal(scores, exact_scores(vectors[mine], query))


def test_a_mapped_file_is_scored_like_memory(tmp_path: Path) -> None:
    vectors = drawn(1, 50, 37)
    VectorStore.of(vectors, np.arange(50)).save(tmp_path)
    mapped = VectorStore.open(tmp_path).vectors
    assert np.array_equal(exact_scores(mapped, vectors[3]), exact_scores(vectors, vectors[3]))


@pytest.mark.parametrize("dim", [7, 9])
def test_a_query_of_another_length_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"vectors of 8 dimensions and a query of {dim}"):
        exact_scores(drawn(1, 4, 8), drawn(2, dim))


@given(st.integers(1, 9), st.integers(1, 50), SEEDS)
def test_a_search_by_blocks_finds_what_a_search_of_all_finds(k: int, size: int, seed: int) -> None:
    vectors, queries = drawn(seed, 60, 5), drawn(seed + 1, 3, 5)
    vectors[20:30] = vectors[3]
    store = VectorStore.of(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.arange(60) * 2)
    found = best_of_blocks(store.blocks(size), queries, k)
    for hits, right in zip(found, ExactIndex(store).search(queries, k), strict=True):
        assert hits.ids.tolist() == right.ids.tolist()
        assert np.array_equal(hits.scores, right.scores)
