"""NumPy brute force: the reference every other index is held against."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.vector_index import Hits, Ids

_CELLS = 4_000_000


class ExactIndex:
    """All inner products, computed. `vectors` float32 (n, dim), unit rows; `ids` int64 (n,), unique."""

    def __init__(self, vectors: Vectors, ids: Ids) -> None:
        order = np.argsort(ids, kind="stable")
        self._vectors = np.ascontiguousarray(vectors[order], dtype=np.float32)
        self._ids = ids[order].astype(np.int64)

    @property
    def count(self) -> int:
        return len(self._ids)

    @property
    def dimensions(self) -> int:
        return int(self._vectors.shape[1])

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        keep = slice(None) if allowed is None else np.flatnonzero(np.isin(self._ids, allowed))
        vectors, ids = self._vectors[keep], self._ids[keep]
        return [hits for part in _parts(queries, len(ids)) for hits in _best(part @ vectors.T, ids, k)]

    def save(self, folder: Path) -> None:
        np.save(folder / "vectors.npy", self._vectors)
        np.save(folder / "ids.npy", self._ids)
        (folder / "index.json").write_text(json.dumps({"kind": "exact"}))

    @classmethod
    def load(cls, folder: Path) -> "ExactIndex":
        return cls(np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "ids.npy"))


def _parts(queries: Vectors, rows: int) -> Iterator[Vectors]:
    step = max(1, _CELLS // max(rows, 1))
    for start in range(0, len(queries), step):
        yield queries[start : start + step]


def _best(scores: NDArray[np.float32], ids: Ids, k: int) -> Iterator[Hits]:
    for row in scores:
        order = np.lexsort((ids, -row))[:k] if len(row) <= k else _top(row, ids, k)
        yield Hits(ids[order], row[order])


def _top(row: NDArray[np.float32], ids: Ids, k: int) -> NDArray[np.intp]:
    """The k best of more than k, ties by ascending id: everything at least as good as the k-th best, sorted."""
    least = np.partition(row, len(row) - k)[len(row) - k]
    candidates = np.flatnonzero(row >= least)
    order: NDArray[np.intp] = candidates[np.lexsort((ids[candidates], -row[candidates]))][:k]
    return order
