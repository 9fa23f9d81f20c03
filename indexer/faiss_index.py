"""The one door to FAISS."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from indexer.encoder import Vectors
from indexer.vector_index import Hits, Ids
from scenes.errors import Corrupt
from scenes.recipe import IndexRecipe

_FILE = "index.faiss"
_TIE_ROOM = 16
"""How many more than k are asked for, so that equal scores at the cut are ordered by id."""


class FaissIndex:
    """A FAISS index behind IDMap2. Safe for concurrent readers: search parameters go with each call."""

    def __init__(self, index: Any, recipe: IndexRecipe) -> None:
        self._index = index
        self._recipe = recipe

    @classmethod
    def build(cls, vectors: Vectors, ids: Ids, recipe: IndexRecipe) -> "FaissIndex":
        """Index float32 (n, dim) unit rows under int64 (n,) ids. `recipe.kind` 'exact' is a flat index."""
        import faiss

        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(ids, np.int64))
        return cls(index, recipe)

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> list[Hits]:
        import faiss

        wanted = min(k + _TIE_ROOM, self.count)
        if wanted == 0:
            return [Hits(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters()
            parameters.sel = faiss.IDSelectorBatch(np.ascontiguousarray(allowed, np.int64))
        scores, ids = self._index.search(np.ascontiguousarray(queries, np.float32), wanted, params=parameters)
        return [_hits(row_ids, row_scores, k) for row_ids, row_scores in zip(ids, scores, strict=True)]

    def save(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self._index, str(folder / _FILE))
        (folder / "index.json").write_text(self._recipe.model_dump_json())

    @classmethod
    def load(cls, folder: Path) -> "FaissIndex":
        """Raises `Corrupt` (`index_unreadable`)."""
        import faiss

        try:
            recipe = IndexRecipe.model_validate(json.loads((folder / "index.json").read_text()))
            return cls(faiss.read_index(str(folder / _FILE)), recipe)
        except (RuntimeError, OSError, ValueError) as error:
            raise Corrupt("index_unreadable", f"{folder} holds no readable FAISS index: {error}") from error


def _hits(ids: Ids, scores: "np.ndarray[Any, np.dtype[np.float32]]", k: int) -> Hits:
    found = ids >= 0
    ids, scores = ids[found], scores[found]
    order = np.lexsort((ids, -scores))[:k]
    return Hits(ids[order], scores[order])
