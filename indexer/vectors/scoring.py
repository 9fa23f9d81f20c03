"""The one score: what two builds, two processes and two backends must agree on to the last bit.

A matrix product rounds differently at its edges, so the same vector may get another score in another row. Products in
float32 only choose candidates. The scores that are returned and sorted by are computed here, one row at a time:
products of float32 are exact in float64, they are summed in a fixed order and rounded once.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.compiled import compiled, helper
from indexer.vectors.vector_index import Hits, Ids

Places = NDArray[np.intp]
"""intp (m,): rows of an array of vectors."""
Scores = NDArray[np.float32]

ROUNDING = 2e-5
"""How far apart two float32 inner products of the same unit vectors can be, rounded up."""
_SIGNATURE = "float32[::1](Array(float32, 2, 'C', readonly=True), int64[::1], float64[:,::1], int64[::1])"


def exact_scores(vectors: Vectors, query: Vectors, places: Places | None = None) -> Scores:
    """Inner products of a query, float32 (dim,), with the vectors, float32 (n, dim), at these places; all by default.

    Raises `ValueError` where they differ in length.
    """
    chosen = np.arange(len(vectors)) if places is None else places
    return _compute(vectors, query[None, :], chosen, np.array([len(chosen)]))


def exact_scores_of(vectors: Vectors, queries: Vectors, places: Sequence[Places]) -> list[Scores]:
    """`exact_scores` of several queries, float32 (q, dim), each with its own places, in one compiled call."""
    if len(places) < 2:  # noqa: PLR2004 - nothing to join
        return [exact_scores(vectors, query, mine) for query, mine in zip(queries, places, strict=True)]
    ends = list(accumulate(map(len, places)))
    scores = _compute(vectors, queries, np.concatenate(places), np.array(ends))
    return [scores[begin:end] for begin, end in pairwise([0, *ends])]


def exact_hits(vectors: Vectors, ids: Ids, queries: Vectors, places: Sequence[Places], k: int) -> list[Hits]:
    """For each query, float32 (q, dim), the k best of the vectors at its places; `ids` int64 (n,) are all vectors'."""
    scores = exact_scores_of(vectors, queries, places)
    return [best(ids[mine], one, k) for mine, one in zip(places, scores, strict=True)]


def hits_from_coarse(vectors: Vectors, ids: Ids, queries: Vectors, coarse: NDArray[np.float32], k: int) -> list[Hits]:
    """For each query the k best by exact score, given `coarse`, its float32 products (q, n) with the vectors.

    A vector whose coarse score is minus infinity is never found.
    """
    return exact_hits(vectors, ids, queries, [contenders(one, k) for one in coarse], k)


def contenders(coarse: NDArray[np.float32], k: int, least: float = -np.inf) -> Places:
    """Places that may be among the k best by exact score, given float32 products; minus infinity never is.

    `least` is an exact score that they must reach.
    """
    if least == -np.inf and len(coarse) > k:
        least = np.partition(coarse, len(coarse) - k)[len(coarse) - k]
    return np.flatnonzero((coarse >= least - 2 * ROUNDING) & (coarse > -np.inf))


def best(ids: Ids, scores: Scores, k: int) -> Hits:
    """The k best, equal scores by ascending id."""
    order = ranked(ids, scores)[:k]
    return Hits(ids[order], scores[order])


def merged(one: Hits, other: Hits, k: int) -> Hits:
    """The k best of both; no id is in both."""
    return best(np.concatenate([one.ids, other.ids]), np.concatenate([one.scores, other.scores]), k)


def ranked(ids: Ids, scores: Scores) -> Places:
    """The order of the best: by falling score, equal ones by ascending id."""
    return np.lexsort((ids, -scores))


def _compute(vectors: Vectors, queries: Vectors, places: Places, ends: NDArray[np.int64]) -> Scores:
    if vectors.shape[1] != queries.shape[1]:  # the kernel would read past the end of a row
        raise ValueError(f"vectors of {vectors.shape[1]} dimensions and a query of {queries.shape[1]}")
    rows = np.require(vectors, np.float32, ("C", "A"))  # the same array unless it is laid out otherwise
    scores: Scores = _scores(rows, np.ascontiguousarray(places), np.ascontiguousarray(queries, np.float64), ends)
    return scores


@helper
def _inner_product(vector: Any, query: Any) -> Any:
    """Four sums side by side: a processor adds to one while it waits for another."""
    first = second = third = fourth = 0.0
    even = len(vector) - len(vector) % 4
    for i in range(0, even, 4):
        first += np.float64(vector[i]) * query[i]
        second += np.float64(vector[i + 1]) * query[i + 1]
        third += np.float64(vector[i + 2]) * query[i + 2]
        fourth += np.float64(vector[i + 3]) * query[i + 3]
    for i in range(even, len(vector)):
        first += np.float64(vector[i]) * query[i]
    return (first + second) + (third + fourth)


@compiled(_SIGNATURE)
def _scores(vectors: Any, places: Any, queries: Any, ends: Any) -> Any:
    """float32 (m,): the places before `ends[i]` that no earlier query has are those of query i."""
    scores = np.empty(len(places), np.float32)
    begin = 0
    for query in range(len(queries)):
        for nth in range(begin, ends[query]):
            scores[nth] = np.float32(_inner_product(vectors[places[nth]], queries[query]))
        begin = ends[query]
    return scores
