"""Fresh vectors beside a release, searched exactly. Immutable; a successor shares its buffer and appends to it."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.scoring import hits_from_coarse
from indexer.vectors.vector_index import Hits, vector_ids

_ROOM = 256


@dataclass(slots=True)
class _Buffer:
    """Room for images: what lies below any view's end is never written again."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    used: int = 0

    @classmethod
    def of(cls, room: int, views: int, dimensions: int) -> Self:
        return cls(np.empty(room, np.int64), np.empty((room, views, dimensions), np.float32))

    def append(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        end = self.used + len(rows)
        self.rows[self.used : end], self.vectors[self.used : end] = rows, vectors
        self.used = end


@dataclass(frozen=True, slots=True)
class Delta:
    """Images by row: `alive` bool (n,) says which of the first n of the buffer still count."""

    views: int
    dimensions: int
    _buffer: _Buffer
    _alive: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def empty(cls, views: int, dimensions: int) -> Self:
        return cls(views, dimensions, _Buffer.of(_ROOM, views, dimensions))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of all images, in no order."""
        return self._buffer.rows[: len(self._alive)][self._alive]

    def changed(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], gone: NDArray[np.int64]) -> "Delta":
        """The delta after `rows` got new `vectors`, float32 (n, views, dim), and the images `gone` were removed."""
        n = len(self._alive)
        out = np.concatenate([rows, gone])
        alive = self._alive & ~np.isin(self._buffer.rows[:n], out) if len(out) else self._alive
        buffer, alive = self._with_room(alive, len(rows))
        buffer.append(rows, vectors)
        return Delta(self.views, self.dimensions, buffer, np.concatenate([alive, np.ones(len(rows), np.bool_)]))

    def search(self, query: Vectors, k: int, allowed: NDArray[np.int64] | None = None) -> Hits:
        """The k best vectors for float32 (dim,); ids are those of `vector_ids`; `allowed` are sorted rows."""
        n = len(self._alive)
        if not n:
            return Hits(np.empty(0, np.int64), np.empty(0, np.float32))
        alive = self._alive if allowed is None else self._alive & np.isin(self._buffer.rows[:n], allowed)
        flat = self._buffer.vectors[:n].reshape(-1, self.dimensions)
        coarse = flat @ query
        coarse[~np.repeat(alive, self.views)] = -np.inf
        ids = vector_ids(self._buffer.rows[:n], self.views)
        return hits_from_coarse(flat, ids, query[None, :], coarse[None, :], k)[0]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these images, float32 (n, views, dim), NaN for one that is not there."""
        taken = np.full((len(rows), self.views, self.dimensions), np.nan, np.float32)
        at = np.flatnonzero(self._alive)
        order = at[np.argsort(self._buffer.rows[at], kind="stable")]
        known = self._buffer.rows[order]
        if len(known):
            near = np.minimum(np.searchsorted(known, rows), len(known) - 1)
            there = known[near] == rows
            taken[there] = self._buffer.vectors[order[near[there]]]
        return taken

    def _with_room(self, alive: NDArray[np.bool_], more: int) -> tuple[_Buffer, NDArray[np.bool_]]:
        """The shared buffer where it has room behind this view; else a new one with only what is alive."""
        old, n = self._buffer, len(alive)
        if old.used == n and n + more <= len(old.rows):
            return old, alive
        living = int(np.sum(alive))
        new = _Buffer.of(max(_ROOM, 2 * (living + more)), self.views, self.dimensions)
        new.append(old.rows[:n][alive], old.vectors[:n][alive])
        return new, np.ones(living, np.bool_)
