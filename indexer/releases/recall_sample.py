"""The promise watched where it is kept: now and then, what a search found is held against exact search.

A sample reads every vector once, block by block: at a million, about half a second of one thread.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Found, Snapshot, are_among, by_image
from indexer.vectors.exact_index import best_of_blocks
from indexer.vectors.vector_index import Ids, VectorIndex, image_rows

K = 10
EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """A search that is to be looked at again: `query` float32 (dim,), the snapshot that answered it, for `k` images."""

    snapshot: Snapshot
    query: Vectors
    k: int


class RecallSampler:
    """Takes at most one search each `every`; `offer` may be called by any thread and costs next to nothing."""

    def __init__(self, every: timedelta = EVERY) -> None:
        """An `every` of zero takes none."""
        self._every_s = every.total_seconds()
        self._lock = threading.Lock()
        self._next = 0.0 if self._every_s else float("inf")
        self._taken: Taken | None = None

    def offer(self, snapshot: Snapshot, query: Vectors, k: int) -> None:
        if snapshot.release is None or time.monotonic() < self._next:
            return
        with self._lock:
            self._next = time.monotonic() + self._every_s
            self._taken = Taken(snapshot, query, k)

    def take(self) -> Taken | None:
        """What was taken since the last call, if anything."""
        with self._lock:
            taken, self._taken = self._taken, None
        return taken


def compared(taken: Taken, most: int = K) -> tuple[int, int]:
    """How many images a search should have found, its first ten at most, and how many as good as those it did."""
    wanted = min(taken.k, most)
    served = taken.snapshot.search(taken.query, taken.k).first(wanted)
    right = exact(taken.snapshot, taken.query, wanted)
    if not len(right.scores):
        return 0, 0
    return len(right.rows), int(np.sum(served.scores >= right.scores[-1]))


def exact(snapshot: Snapshot, query: Vectors, k: int) -> Found:
    """The k best images by brute force over all that the snapshot answers from."""
    fresh = replace(snapshot, index=None).search(query, k)
    settled = fresh.first(0) if snapshot.index is None else _settled(snapshot, snapshot.index, query, k)
    return settled.merged(fresh, k)


def _settled(snapshot: Snapshot, index: VectorIndex, query: Vectors, k: int) -> Found:
    """The k best images of the release that are not hidden; each of them has a vector among the k × views best."""
    hits = best_of_blocks(_shown(snapshot, index), query[None, :], k * snapshot.views)[0]
    return by_image(hits, snapshot.views).first(k)


def _shown(snapshot: Snapshot, index: VectorIndex) -> Iterator[tuple[Ids, Vectors]]:
    """The blocks of an index without what is hidden."""
    for ids, block in index.blocks():
        hidden = are_among(image_rows(ids, snapshot.views), snapshot.hidden)
        yield (ids[~hidden], block[~hidden]) if hidden.any() else (ids, block)
