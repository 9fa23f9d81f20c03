"""A few descriptions in memory, searched and ranked as those of a collection are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.encoding.encoder import Vectors
from indexer.releases.delta import Delta
from indexer.releases.index_reader import Found, Rows, Snapshot
from indexer.tokens.late_interaction import Packed, Said
from indexer.vectors.exact_index import ExactIndex
from indexer.vectors.vector_index import vector_ids


@dataclass(frozen=True, slots=True)
class InMemory:
    """Descriptions by row: `rows` int64 (n,), ascending; `said` are their token vectors in the same order."""

    reader: Snapshot
    rows: Rows
    said: Said

    @classmethod
    def of(cls, rows: Rows, vectors: Vectors, tokens: Sequence[Packed]) -> "InMemory":
        """Of `vectors` float32 (n, views, dim) and n descriptions' token vectors; `rows` int64 (n,) are unique."""
        order = np.argsort(rows)
        rows, vectors = rows[order], vectors[order]
        _, views, dimensions = vectors.shape
        index = ExactIndex.of(vectors.reshape(-1, dimensions), vector_ids(rows, views))
        empty = Delta.empty(views, dimensions)
        reader = Snapshot(0, 0, None, None, index if len(rows) else None, empty, np.empty(0, np.int64))
        return cls(reader, rows, Said.of([tokens[place] for place in order.tolist()]))

    def candidates(self, queries: Vectors, k: int) -> list[Found]:
        return self.reader.search_each(queries, k)

    def tokens(self, rows: Sequence[int]) -> Said:
        places = np.searchsorted(self.rows, np.array(rows, np.int64))
        return Said(self.said.words, self.said.begins[places], self.said.lengths[places])

    def tokens_of(self, row: int) -> Packed | None:
        """The token vectors of one row, None where it is not here."""
        return self.tokens([row]).each()[0] if row in self.rows else None
