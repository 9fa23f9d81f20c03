"""From the catalog and the release folders to snapshots: anew where the release changed, else only what changed."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.releases.delta import Delta
from indexer.releases.index_reader import Rows, Snapshot, are_among
from indexer.releases.release import open_release
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.faiss_index import FaissIndex
from indexer.vectors.vector_index import VectorIndex
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.connection import Catalog, ReadSession
from scenes.catalog.embeddings import Vectored
from scenes.catalog.releases import Release
from scenes.errors import Corrupt
from scenes.recipe import EncoderRecipe

_log = logging.getLogger(__name__)
_AT_ONCE = 10_000
"""The vectors of so many images are read at a time."""
Accelerate = Callable[[ExactIndex | FaissIndex], VectorIndex]
"""What searches a release's index: a replica of it, or the index itself."""


def itself(index: ExactIndex | FaissIndex) -> VectorIndex:
    """No replica."""
    return index


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes snapshots of any collection for one encoder."""

    catalog: Catalog
    encoder: EncoderRecipe
    home: Path
    accelerate: Accelerate = itself

    async def load(self, collection_id: int, known: Snapshot | None = None) -> Snapshot:
        """The newest snapshot; only what changed since `known` is read where that has the active release.

        A release that is damaged or lost is not an error: the previous one answers, or all vectors from Postgres,
        and the snapshot's `trouble` says so. Raises `NotFound` (`collection_unknown`), `EnvironmentMissing`.
        """
        if known is not None and not known.may_be_retried():
            async with self.catalog.consistent() as session:
                row = await collections.by_id(session, collection_id)
                if row.active_release == known.active_release:
                    return await self._advance(session, known, row.generation)
        base = await self._opened(collection_id, known)
        async with self.catalog.consistent() as session:
            generation = await collections.generation(session, collection_id)
            waiting = await embeddings.unsearchable(session, collection_id, self.encoder)
            return await self._advance(session, await _without(base, waiting), generation)

    async def _opened(self, collection_id: int, known: Snapshot | None) -> Snapshot:
        """A snapshot as old as the best release that can be opened; of nothing at all where none can."""
        async with self.catalog.reading() as session:
            row = await collections.by_id(session, collection_id)
            named = row.releases
            there = {one: await releases.get(session, one) for one in named}
        base = self._bare(collection_id)
        troubles = []
        for name in named:
            release = there[name]
            if release is None:
                troubles.append(f"release_unknown: the catalog has no release {name}")
                continue
            if release.encoder != self.encoder.fingerprint():
                if name == row.active_release:
                    _log.warning("collection %d: its active release is another encoder's", collection_id)
                continue
            try:
                index = await self._index(release, known)
            except Corrupt as error:
                troubles.append(f"{error.code}: {error.message}")
                continue
            base = replace(base, release=release, index=index, generation=release.generation)
            break
        trouble = "; ".join(troubles) or None
        return replace(base, active_release=row.active_release, trouble=trouble, opened_at=time.monotonic())

    async def _index(self, release: Release, known: Snapshot | None) -> VectorIndex:
        at_hand = known is not None and known.release is not None and known.release.id == release.id
        if at_hand and known is not None and known.index is not None:
            return known.index
        return await asyncio.to_thread(self._open, release)

    def _open(self, release: Release) -> VectorIndex:
        return self.accelerate(open_release(release, self.home))

    def _bare(self, collection_id: int) -> Snapshot:
        return Snapshot(
            collection_id=collection_id,
            generation=0,
            active_release=None,
            release=None,
            index=None,
            delta=Delta.empty(self.encoder.views, self.encoder.dimensions),
            hidden=np.empty(0, np.int64),
        )

    async def _advance(self, session: ReadSession, known: Snapshot, generation: int) -> Snapshot:
        """`known` brought to `generation`: new vectors into the delta; replaced and deleted rows are hidden, and those
        whose new description has no vectors yet."""
        if generation == known.generation:
            return known
        removed = await embeddings.removed_since(session, known.collection_id, known.generation)
        now = _changed(known, np.empty(0, np.int64), _no_vectors(known), removed)
        async for batch in self._above(session, known):
            rows, vectors = _news(now, batch)
            now = _changed(now, rows, vectors, np.empty(0, np.int64))
        waiting = await embeddings.unsearchable(session, known.collection_id, self.encoder, above=known.generation)
        return replace(await _without(now, waiting), generation=generation)

    def _above(self, session: ReadSession, known: Snapshot) -> AsyncIterator[Vectored]:
        return embeddings.stream(session, known.collection_id, self.encoder, above=known.generation)


def _news(known: Snapshot, batch: Vectored) -> tuple[Rows, NDArray[np.float32]]:
    """Those of a batch whose vectors are not the ones that answer already."""
    served = known.vectors(batch.rows)
    new = ~np.all(served == batch.vectors, axis=(1, 2))
    return batch.rows[new], batch.vectors[new]


def _changed(known: Snapshot, rows: Rows, vectors: NDArray[np.float32], removed: Rows) -> Snapshot:
    if not len(rows) and not len(removed):
        return known
    changed = np.sort(np.concatenate([rows, removed]))
    hidden = known.hidden if known.index is None else np.union1d(known.hidden, changed)
    pending = known.pending[~are_among(known.pending, changed)]
    return replace(known, delta=known.delta.changed(rows, vectors, removed), hidden=hidden, pending=pending)


async def _without(known: Snapshot, rows: Rows) -> Snapshot:
    """`known` after these images got a description without vectors: what it has of them does not answer any more."""
    if not len(rows):
        return known
    served = await asyncio.to_thread(_served, known, rows)
    now = _changed(known, np.empty(0, np.int64), _no_vectors(known), served)
    return replace(now, pending=np.union1d(now.pending, rows))


def _served(known: Snapshot, rows: Rows) -> Rows:
    """Those of the rows that have vectors which answer."""
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    return np.concatenate([part[~np.isnan(known.vectors(part)[:, 0, 0])] for part in parts])


def _no_vectors(known: Snapshot) -> NDArray[np.float32]:
    return np.empty((0, known.views, known.delta.dimensions), np.float32)
