"""Scores of several queries' candidates in one compiled call are those that NumPy computes, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.vectors.exact_kernel import exact_scores_of
from indexer.vectors.scoring import exact_scores


@given(
    st.one_of(st.integers(1, 300), st.sampled_from([384, 385, 512, 768, 1_000, 1_024, 1_536])),
    st.lists(st.integers(0, 20), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_scores_are_those_of_numpy(dim: int, counts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(30, dim)).astype(np.float32)
    vectors.flags.writeable = False  # as they are where they are mapped
    queries = random.normal(size=(len(counts), dim)).astype(np.float32)
    places = [random.integers(0, 30, count) for count in counts]
    found = exact_scores_of(vectors, places, queries)
    for mine, scores, query in zip(places, found, queries, strict=True):
        assert np.array_equal(scores, exact_scores(vectors[mine], query))


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-30])
def test_scores_of_next_to_nothing_are_those_of_numpy(value: float) -> None:
    vectors = np.full((2, 384), value, np.float32)
    query = np.full((1, 384), -1.0, np.float32)
    (scores,) = exact_scores_of(vectors, [np.array([1, 0])], query)
    assert scores.tobytes() == exact_scores(vectors, query[0]).tobytes()
