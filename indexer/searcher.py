"""Search one collection: its active release, the exact delta beside it, and nothing that was deleted.

A snapshot is immutable; a search takes the newest one and keeps it, so that a flip never disturbs a running search.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors
from indexer.exact_index import ExactIndex
from indexer.release import open_release, vector_ids
from indexer.vector_index import Hits, VectorIndex
from scenes.catalog import embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.releases import Release
from scenes.recipe import EncoderRecipe


@dataclass(frozen=True, slots=True)
class Found:
    """Images of one query, best first: `rows` int64 (m,), `scores` float32 (m,), the best over an image's views."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that answers at one moment: `hidden` are rows whose release vectors are out of date."""

    collection_id: int
    generation: int
    active_release: UUID | None
    release: Release | None
    index: VectorIndex | None
    delta: ExactIndex
    hidden: frozenset[int]
    views: int

    def search(self, query: Vectors, k: int, allowed: NDArray[np.int64] | None = None) -> Found:
        """The k best images for one query, float32 (dim,); with `allowed` (sorted rows) only among those."""
        ids = None if allowed is None else vector_ids(allowed, self.views)
        fresh = self.delta.search(query[None, :], k * self.views, ids)[0]
        best = self._by_row(fresh, frozenset())
        if self.index is not None:
            wanted = (k + len(self.hidden)) * self.views
            best |= self._by_row(self.index.search(query[None, :], wanted, ids)[0], self.hidden)
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]
        rows = np.array([row for row, _ in ranked], dtype=np.int64)
        return Found(rows, np.array([score for _, score in ranked], dtype=np.float32))

    def _by_row(self, hits: Hits, hidden: frozenset[int]) -> dict[int, float]:
        best: dict[int, float] = {}
        for row, score in zip((hits.ids // self.views).tolist(), hits.scores.tolist(), strict=True):
            if row not in hidden:
                best[row] = max(score, best.get(row, -np.inf))
        return best


class Searcher:
    """Keeps the newest snapshot of every collection that is searched."""

    def __init__(self, catalog: Catalog, encoder: EncoderRecipe, home: Path) -> None:
        self._catalog = catalog
        self._encoder = encoder
        self._home = home
        self._snapshots: dict[int, Snapshot] = {}
        self._refreshing: dict[int, asyncio.Lock] = {}

    async def snapshot(self, collection: CollectionRow) -> Snapshot:
        """A snapshot as new as the given row of the collection. Raises `Corrupt` for a damaged release."""
        async with self._refreshing.setdefault(collection.id, asyncio.Lock()):
            known = self._snapshots.get(collection.id)
            if known is None or not _is_fresh(known, collection):
                known = await self._refresh(collection, known)
                self._snapshots[collection.id] = known
            return known

    async def _refresh(self, collection: CollectionRow, known: Snapshot | None) -> Snapshot:
        async with self._catalog.reading() as session:
            release = await releases.active(session, collection.id)
            usable = release if release and release.encoder == self._encoder.fingerprint() else None
            since = usable.generation if usable else 0
            removed = await embeddings.removed_since(session, collection.id, since)
            batches = embeddings.stream(
                session, collection.id, self._encoder.fingerprint(), self._encoder.dimensions, above=since
            )
            parts = [(batch.rows, batch.vectors) async for batch in batches]
        rows = np.concatenate([part for part, _ in parts] or [np.empty(0, np.int64)])
        vectors = np.concatenate([part.reshape(-1, self._encoder.dimensions) for _, part in parts] or [self._nothing()])
        return Snapshot(
            collection_id=collection.id,
            generation=collection.generation,
            active_release=collection.active_release,
            release=usable,
            index=await self._opened(usable, known),
            delta=ExactIndex(vectors, vector_ids(rows, self._encoder.views)),
            hidden=frozenset(np.concatenate([rows, removed]).tolist()) if usable else frozenset(),
            views=self._encoder.views,
        )

    async def _opened(self, release: Release | None, known: Snapshot | None) -> VectorIndex | None:
        if release is None:
            return None
        if known is not None and known.release is not None and known.release.id == release.id:
            return known.index
        return await asyncio.to_thread(open_release, release, self._home)

    def _nothing(self) -> Vectors:
        return np.empty((0, self._encoder.dimensions), np.float32)


def _is_fresh(snapshot: Snapshot, collection: CollectionRow) -> bool:
    return snapshot.generation >= collection.generation and snapshot.active_release == collection.active_release
