"""Queries searched together find what each finds alone, to the last bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.releases.delta import Delta
from indexer.releases.index_reader import Found, Snapshot
from indexer.vectors import exact_index
from indexer.vectors.exact_index import ExactIndex


def unit(random: np.random.Generator, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rows = random.normal(size=shape).astype(np.float32)
    unit_rows: np.ndarray[Any, np.dtype[np.float32]] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit_rows


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 3), st.integers(1, 50), st.booleans())
def test_searches_together_are_searches_alone(seed: int, images: int, views: int, k: int, fresh: bool) -> None:
    random = np.random.default_rng(seed)
    delta = Delta.empty(views, 8)
    if fresh:
        delta = delta.changed(np.array([100]), unit(random, 1, views, 8), np.empty(0, np.int64))
    index = ExactIndex.of(unit(random, images * views, 8), np.arange(images * views))
    snapshot = Snapshot(1, 1, None, None, index, delta, np.arange(0, images, 5) if fresh else np.empty(0, np.int64))
    queries = unit(random, 5, 8)
    for found, query in zip(snapshot.search_each(queries, k), queries, strict=True):
        alone = snapshot.search(query, k)
        assert np.array_equal(found.rows, alone.rows)
        assert np.array_equal(found.scores, alone.scores)


def test_products_that_are_too_many_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    index = ExactIndex.of(unit(random, 30, 8), np.arange(30))
    snapshot = Snapshot(1, 1, None, None, index, Delta.empty(1, 8), np.empty(0, np.int64))
    queries = unit(random, 7, 8)
    whole = snapshot.search_each(queries, 3)
    monkeypatch.setattr(exact_index, "_PRODUCTS", 65)
    for one, other in zip(whole, snapshot.search_each(queries, 3), strict=True):
        assert np.array_equal(one.rows, other.rows)


def test_parts_joined_are_the_whole() -> None:
    found = Found(np.arange(7), np.arange(7, dtype=np.float32))
    again = Found.joined([found.part(start, 3) for start in range(0, 7, 3)])
    assert np.array_equal(again.rows, found.rows)
    assert Found.joined([found]) is found
