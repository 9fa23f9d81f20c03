"""The one score: what two builds, two processes and two backends must agree on to the last bit.

A matrix product rounds differently at its edges, so the same vector may score differently at another place. Products
in float32 only choose candidates; what is told and sorted by is summed row by row in float64 and rounded once.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.vector_index import Hits, Ids

ROUNDING = 2e-5
"""How far apart two float32 inner products of the same unit vectors can be, rounded up."""
_ROWS = 4_096


def exact_scores(vectors: Vectors, query: Vectors) -> NDArray[np.float32]:
    """Inner products, float32 (n,), of float32 (n, dim) with float32 (dim,), independent of a row's place."""
    wide = query.astype(np.float64)
    if len(vectors) <= _ROWS:
        return _summed(vectors, wide)
    starts = range(0, len(vectors), _ROWS)
    return np.concatenate([_summed(vectors[start : start + _ROWS], wide) for start in starts])


def _summed(vectors: Vectors, wide: NDArray[np.float64]) -> NDArray[np.float32]:
    products = vectors.astype(np.float64, order="C")
    products *= wide
    scores: NDArray[np.float32] = np.add.reduce(products, axis=1).astype(np.float32)
    return scores


def contenders(rough: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Places that may be among the k best by exact score, given float32 products; minus infinity never is."""
    if len(rough) > k:
        least = np.partition(rough, len(rough) - k)[len(rough) - k]
        return np.flatnonzero((rough >= least - 2 * ROUNDING) & (rough > -np.inf))
    return np.flatnonzero(rough > -np.inf)


def best(ids: Ids, scores: NDArray[np.float32], k: int) -> Hits:
    """The k best, equal scores by ascending id."""
    order = ranked(ids, scores)[:k]
    return Hits(ids[order], scores[order])


def ranked(ids: Ids, scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """The order of the best: by falling score, equal ones by ascending id."""
    return np.lexsort((ids, -scores))
