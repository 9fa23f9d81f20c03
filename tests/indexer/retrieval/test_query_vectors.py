"""Vectors of recent queries are kept under a keyed hash, the oldest ones not."""

import numpy as np

from indexer.retrieval.query_vectors import QueryVectors
from indexer.retrieval.search_batch import EncodedQuery


def test_the_newest_are_kept_and_no_query_text() -> None:
    vectors = QueryVectors(most=2)
    encoded = {text: EncodedQuery(np.ones(2, np.float32), truncated=False) for text in "abc"}
    for text, one in encoded.items():
        vectors.put(text, one)
    assert vectors.get("a") is None
    assert vectors.get("c") is encoded["c"]
    assert {len(name) for name in vectors._known} == {32}
