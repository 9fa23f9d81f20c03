"""NumPy brute force over exact vectors: the reference every other index is held against, and what small ones use."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.scoring import contenders, exact_hits, hits_from_coarse, merged
from indexer.vectors.vector_index import Hits, Ids
from indexer.vectors.vector_store import VectorStore
from scenes.recipe import IndexRecipe

_FEW = 8
"""Where fewer than one in this many vectors are allowed, only they are scored instead of scanning all."""
_PRODUCTS = 4_194_304
"""So many products are held at a time."""


class ExactIndex:
    """All inner products, computed."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    @classmethod
    def of(cls, vectors: Vectors, ids: Ids) -> "ExactIndex":
        """Over `vectors` float32 (n, dim), unit rows, and `ids` int64 (n,), unique."""
        return cls(VectorStore.of(vectors, ids))

    @property
    def count(self) -> int:
        return len(self.store.ids)

    @property
    def dimensions(self) -> int:
        return self.store.dimensions

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        """As every index does; all vectors are read once for several queries: reading takes longer than multiplying."""
        if allowed is None:
            return self._scanned(queries, k, None)
        places = self.store.places(allowed)
        places = places[places >= 0]
        if len(places) * _FEW < self.count:
            return exact_hits(self.store.vectors, self.store.ids, queries, [places] * len(queries), k)
        outside = np.ones(self.count, np.bool_)
        outside[places] = False
        return self._scanned(queries, k, outside)

    def vectors(self, ids: Ids) -> Vectors:
        return self.store.take(ids)

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        return self.store.blocks()

    def save(self, folder: Path) -> None:
        self.store.save(folder)

    @property
    def recipe(self) -> IndexRecipe:
        """What was built and how it searches."""
        return IndexRecipe(kind="exact")

    def save_lists(self, folder: Path) -> None:
        """Write all but the exact vectors, where those lie in the folder already: nothing."""

    @classmethod
    def load(cls, folder: Path) -> "ExactIndex":
        """Raises `Corrupt` (`index_unreadable`)."""
        return cls(VectorStore.open(folder))

    def _scanned(self, queries: Vectors, k: int, outside: NDArray[np.bool_] | None) -> list[Hits]:
        at_once = max(1, _PRODUCTS // max(1, self.count))
        parts = (queries[start : start + at_once] for start in range(0, len(queries), at_once))
        return [hits for part in parts for hits in self._scanned_at_once(part, k, outside)]

    def _scanned_at_once(self, queries: Vectors, k: int, outside: NDArray[np.bool_] | None) -> list[Hits]:
        coarse = queries @ self.store.vectors.T
        if outside is not None:
            coarse[:, outside] = -np.inf
        return hits_from_coarse(self.store.vectors, self.store.ids, queries, coarse, k)


def best_of_blocks(blocks: Iterable[tuple[Ids, Vectors]], queries: Vectors, k: int) -> list[Hits]:
    """Exact search without an index: for each query, float32 (q, dim), the k best of all blocks of ids and vectors."""
    known = [Hits(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
    for ids, block in blocks:
        coarse = queries @ block.T
        places = [contenders(one, k, _least(hits, k)) for one, hits in zip(coarse, known, strict=True)]
        found = exact_hits(block, ids, queries, places, k)
        known = [merged(hits, more, k) if len(more.ids) else hits for hits, more in zip(known, found, strict=True)]
    return known


def _least(hits: Hits, k: int) -> float:
    """The score below which nothing is among the k best."""
    return float(hits.scores[-1]) if len(hits.scores) == k else -np.inf
