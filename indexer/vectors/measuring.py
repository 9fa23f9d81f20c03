"""How good an index is: its answers beside those of exact search, over seeded samples of its own vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.exact_index import best_of_blocks
from indexer.vectors.scoring import ROUNDING
from indexer.vectors.vector_index import Hits, VectorIndex
from indexer.vectors.vector_store import VectorStore

_SAMPLE = 200
_SEED = 20_260_101
_LIKENESS = 0.6
"""How near a stand-in query is to its description: real short queries are about this far from their long texts."""


def truth(store: VectorStore, queries: Vectors, k: int) -> list[Hits]:
    """The k best of all vectors for each query, float32 (n, dim), computed block by block."""
    return best_of_blocks(store.blocks(), queries, k)


def recall(index: VectorIndex, queries: Vectors, true: Sequence[Hits], k: int) -> float | None:
    """Which share of the k best `index` finds, None where there are none; equally good ones count as found."""
    wanted = good = 0
    for hits, right in zip(index.search(queries, k), true, strict=True):
        least = right.scores[:k]
        wanted += len(least)
        good += int(np.sum(hits.scores >= least[-1])) if len(least) else 0
    return good / wanted if wanted else None


def finding_itself(index: VectorIndex, vectors: Vectors) -> float:
    """The share of these vectors, all in the index, whose best hit is as near as they are to themselves."""
    if not len(vectors):
        return 1.0
    found = [hits.scores[0] if len(hits.scores) else -1 for hits in index.search(vectors, 1)]
    return float(np.mean(np.array(found) >= np.sum(vectors * vectors, axis=1) - ROUNDING))


def measured(index: VectorIndex, store: VectorStore, queries: Vectors) -> float | None:
    """Recall@10 for these queries, None of an empty index."""
    return recall(index, queries, truth(store, queries, 10), 10)


def made_up(store: VectorStore) -> Vectors:
    """Queries to tune and to measure with where nothing better is known, float32 (n, dim)."""
    return stand_ins(sample(store, 2 * _SAMPLE, _SEED), _SEED)


def sample(store: VectorStore, n: int, seed: int) -> Vectors:
    """Up to n of a store's vectors, float32 (m, dim)."""
    chosen = np.random.default_rng(seed).permutation(len(store.ids))[:n]
    return np.ascontiguousarray(store.vectors[np.sort(chosen)])


def stand_ins(vectors: Vectors, seed: int) -> Vectors:
    """Queries as unlike descriptions as real ones: half between two descriptions, half a description with noise."""
    random = np.random.default_rng(seed)
    half = len(vectors) // 2
    noise = _unit(random.normal(size=(len(vectors) - half, vectors.shape[1])).astype(np.float32))
    noisy = _LIKENESS * vectors[half:] + np.sqrt(1 - _LIKENESS**2) * noise
    between = vectors[:half] + vectors[random.permutation(len(vectors))[:half]]
    return _unit(np.concatenate([between, noisy]).astype(np.float32))


def _unit(vectors: NDArray[np.float32]) -> Vectors:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    units: Vectors = (vectors / lengths).astype(np.float32)
    return units
