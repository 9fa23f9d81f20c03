"""What a vector index is. Every backend passes the one contract suite in tests/indexer/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors

Ids = NDArray[np.int64]


def vector_ids(rows: NDArray[np.int64], views: int) -> Ids:
    """Ids of all vectors of images, int64 (n × views,), one after the other; `rows` int64 (n,) are the images'."""
    ids: Ids = (rows[:, None] * views + np.arange(views)).reshape(-1)
    return ids


def image_rows(ids: Ids, views: int) -> NDArray[np.int64]:
    """The rows of the images that these vectors belong to, int64 (n,)."""
    return ids if views == 1 else ids // views


@dataclass(frozen=True, slots=True)
class Hits:
    """One query's neighbours, best first: `ids` int64 (m,), `scores` float32 (m,) inner products, m ≤ k."""

    ids: Ids
    scores: NDArray[np.float32]


class VectorIndex(Protocol):
    """An immutable index over unit vectors with caller's ids; safe for concurrent readers.

    Scores are those of `indexer.vectors.scoring.exact_scores`, also where an approximate index chose the candidates.
    """

    @property
    def count(self) -> int: ...

    @property
    def dimensions(self) -> int: ...

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        """The k best of each query, or all there are; with `allowed` (sorted), only among those ids.

        `queries` float32 (n, dim), unit rows. No padding: a `Hits` is as short as the truth. Equal scores are
        ordered by ascending id.
        """
        ...

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of these ids, float32 (n, dim); a row of NaN for an id that is not there."""
        ...

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        """All ids and their vectors, a part at a time; a part is good until the next is asked for."""
        ...

    def save(self, folder: Path) -> None:
        """Write all of the index's files into an existing folder."""
        ...
