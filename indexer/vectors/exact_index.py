"""NumPy brute force over exact vectors: the reference every other index is held against, and what small ones use."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.vectors.scoring import best, contenders, exact_scores
from indexer.vectors.vector_index import Hits, Ids
from indexer.vectors.vector_store import VectorStore
from scenes.recipe import IndexRecipe

_FEW = 8
"""Where fewer than one in this many vectors are allowed, they are gathered instead of scanning all."""


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
        if allowed is None:
            return [self._scanned(query, k, None) for query in queries]
        places = self.store.places(allowed)
        places = places[places >= 0]
        if len(places) * _FEW < self.count:
            vectors, ids = self.store.vectors[places], self.store.ids[places]
            return [best(ids, exact_scores(vectors, query), k) for query in queries]
        outside = np.ones(self.count, np.bool_)
        outside[places] = False
        return [self._scanned(query, k, outside) for query in queries]

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

    def _scanned(self, query: Vectors, k: int, outside: "np.ndarray[tuple[int], np.dtype[np.bool_]] | None") -> Hits:
        rough = self.store.vectors @ query
        if outside is not None:
            rough[outside] = -np.inf
        places = contenders(rough, k)
        return best(self.store.ids[places], exact_scores(self.store.vectors[places], query), k)
