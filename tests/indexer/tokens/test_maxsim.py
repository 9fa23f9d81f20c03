"""The compiled MaxSim against NumPy, to the last bit: all its sums are whole numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.tokens.maxsim import REACH, maxsim

DIMENSIONS = st.one_of(st.just(128), st.sampled_from([1, 8, 127, 129, 160]))
"""Of token vectors: the usual length and others."""
QUERIES = st.lists(st.tuples(st.integers(0, 13), st.lists(st.integers(-1, 11), max_size=4)), min_size=1, max_size=4)
"""For each query the number of its tokens and the lengths of its documents; −1 for one that is not there."""


def by_numpy(query: np.ndarray, document: np.ndarray) -> tuple[float, float]:
    if not len(query) or not len(document):
        return 0.0, 0.0
    products = query.astype(np.int64) @ document.astype(np.int64).T
    positive = np.pad(np.maximum(products, 0), ((0, 0), (0, REACH)))
    steps = [positive[:, step : step + len(document)] for step in range(REACH + 1)]
    first, second = positive[: max(1, len(query) - 1), : len(document)], np.max(steps, axis=0)[min(1, len(query) - 1) :]
    best_pairs = np.max(first * second, axis=1)
    return products.max(axis=1).sum() / len(query), best_pairs.sum() / len(best_pairs)


@given(QUERIES, DIMENSIONS, st.integers(0, 2**32 - 1))
def test_scores_are_those_of_numpy(queries: list[tuple[int, list[int]]], dim: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    tokens = random.integers(-127, 128, (40, dim)).astype(np.int8)
    asked = [random.integers(-32_767, 32_768, (count, dim)).astype(np.int16) for count, _ in queries]
    lengths = np.array([length for _, mine in queries for length in mine], np.int64)
    begins = random.integers(0, 29, len(lengths))
    query_ends, ends = np.cumsum([len(one) for one in asked]), np.cumsum([len(mine) for _, mine in queries])
    scores = maxsim(np.concatenate(asked), query_ends, tokens, begins, lengths, ends)
    owners = np.repeat(np.arange(len(queries)), [len(mine) for _, mine in queries])
    for nth, (owner, begin, length) in enumerate(zip(owners, begins, lengths, strict=True)):
        assert tuple(scores[:, nth]) == by_numpy(asked[owner], tokens[begin : begin + max(0, length)])


def test_the_largest_products_fit() -> None:
    query, document = np.full((5, 128), -32_767, np.int16), np.full((3, 128), -127, np.int8)
    one = np.array([5]), document, np.array([0]), np.array([3]), np.array([1])
    assert maxsim(query, *one)[:, 0].tolist() == list(by_numpy(query, document))
    assert maxsim(-query, *one)[0, 0] == -128 * 32_767 * 127
