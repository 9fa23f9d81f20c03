"""The promise watched where it is kept: now and then, what a search found is held against exact search.

A sample reads every vector once, block by block: at a million, about half a second of one thread.
"""

import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.releases.index_reader import Found, Snapshot, are_among, by_image
from indexer.vectors.scoring import ROUNDING, best, contenders, exact_scores
from indexer.vectors.vector_index import Hits, VectorIndex

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
    rows, scores = np.concatenate([fresh.rows, settled.rows]), np.concatenate([fresh.scores, settled.scores])
    order = np.lexsort((rows, -scores))[:k]
    return Found(rows[order], scores[order])


def _settled(snapshot: Snapshot, index: VectorIndex, query: Vectors, k: int) -> Found:
    """The k best images of the release that are not hidden; each of them has a vector among the k × views best."""
    most = k * snapshot.views
    kept = Hits(np.empty(0, np.int64), np.empty(0, np.float32))
    for ids, block in index.blocks():
        rough = block @ query
        rough[are_among(ids // snapshot.views, snapshot.hidden)] = -np.inf
        least = kept.scores[-1] - 2 * ROUNDING if len(kept.scores) == most else -np.inf
        places = contenders(rough, most)
        places = places[rough[places] >= least]
        scores = np.concatenate([kept.scores, exact_scores(block[places], query)])
        kept = best(np.concatenate([kept.ids, ids[places]]), scores, most)
    return by_image(kept, snapshot.views).first(k)
