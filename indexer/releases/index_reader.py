"""What answers at one moment: a release, the exact delta beside it, and nothing that was deleted or replaced."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.releases.delta import Delta
from indexer.vectors.scoring import ranked
from indexer.vectors.vector_index import Hits, VectorIndex, image_rows, vector_ids
from scenes.catalog.releases import Release

Rows = NDArray[np.int64]
RETRY_S = 30.0
"""How long a release that could not be opened is left alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """Images of one query, best first: `rows` int64 (m,), `scores` float32 (m,), the best over an image's views."""

    rows: Rows
    scores: NDArray[np.float32]

    def part(self, start: int, size: int) -> "Found":
        """So many of them, from the one at `start` on."""
        return Found(self.rows[start : start + size], self.scores[start : start + size])

    @classmethod
    def joined(cls, parts: Sequence["Found"]) -> "Found":
        """One after the other; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(np.concatenate([one.rows for one in parts]), np.concatenate([one.scores for one in parts]))

    def first(self, k: int) -> "Found":
        """The k best of them."""
        return Found(self.rows[:k], self.scores[:k])

    def merged(self, other: "Found", k: int) -> "Found":
        """The k best of both; no image is in both."""
        rows, scores = np.concatenate([self.rows, other.rows]), np.concatenate([self.scores, other.scores])
        order = ranked(rows, scores)[:k]
        return Found(rows[order], scores[order])

    def without(self, hidden: Rows) -> "Found":
        """All but the `hidden`, which are sorted."""
        if not len(hidden):
            return self
        shown = ~are_among(self.rows, hidden)
        return Found(self.rows[shown], self.scores[shown])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Immutable. `hidden`, sorted, are rows whose release vectors are out of date; `pending`, sorted, are rows of
    images that are stored but have no vectors yet; `active_release` is what the catalog named; `trouble` says why
    another release answers, or none; `opened_at` is monotonic seconds."""

    collection_id: int
    generation: int
    active_release: UUID | None
    release: Release | None
    index: VectorIndex | None
    delta: Delta
    hidden: Rows
    trouble: str | None = None
    opened_at: float = 0.0
    pending: Rows = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def views(self) -> int:
        return self.delta.views

    def may_be_retried(self) -> bool:
        """Is it time to look whether the active release can be opened again?"""
        return self.trouble is not None and time.monotonic() - self.opened_at > RETRY_S

    def search(self, query: Vectors, k: int, allowed: Rows | None = None) -> Found:
        """The k best images for one query, float32 (dim,); with `allowed` (sorted rows) only among those."""
        settled = self._settled(query, k, allowed)
        fresh = by_image(self.delta.search(query, k * self.views, allowed), self.views)
        return settled if not len(fresh.rows) else settled.merged(fresh, k)

    def search_each(self, queries: Vectors, k: int) -> list[Found]:
        """`search` for each of several queries, float32 (n, dim); none depends on the queries next to it."""
        settled = not len(self.hidden) and not len(self.delta.rows)
        if len(queries) == 1 or not settled or self.index is None:
            return [self.search(query, k) for query in queries]
        return [by_image(hits, self.views).first(k) for hits in self.index.search(queries, k * self.views)]

    def vectors(self, rows: Rows) -> NDArray[np.float32]:
        """The vectors that answer for these images, float32 (n, views, dim); NaN for an image without."""
        taken = self.delta.take(rows)
        if self.index is not None:
            settled = np.isnan(taken[:, 0, 0]) & ~are_among(rows, self.hidden)
            found = self.index.vectors(vector_ids(rows[settled], self.views))
            taken[settled] = found.reshape(-1, self.views, taken.shape[2])
        return taken

    def _settled(self, query: Vectors, k: int, allowed: Rows | None) -> Found:
        """The k best images of the release: as many vectors are asked for as it takes."""
        if self.index is None:
            return Found(np.empty(0, np.int64), np.empty(0, np.float32))
        ids = None if allowed is None else vector_ids(allowed, self.views)
        wanted = k * self.views
        while True:
            hits = self.index.search(query[None, :], wanted, ids)[0]
            shown = by_image(hits, self.views).without(self.hidden)
            if len(shown.rows) >= k or len(hits.ids) < wanted:
                return shown.first(k)
            wanted *= 2


def are_among(rows: Rows, known: Rows) -> NDArray[np.bool_]:
    """Is each of the rows one of the `known`, which are sorted?"""
    if not len(known):
        return np.zeros(len(rows), np.bool_)
    there: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, rows), len(known) - 1)] == rows
    return there


def by_image(hits: Hits, views: int) -> Found:
    """Each image once, at its best vector; hits come best first."""
    if views == 1:
        return Found(hits.ids, hits.scores)
    rows = image_rows(hits.ids, views)
    first = np.sort(np.unique(rows, return_index=True)[1])
    return Found(rows[first], hits.scores[first])
