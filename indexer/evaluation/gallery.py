"""Descriptions held in memory and ranked exactly as the server ranks them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import embed
from indexer.encoder import Encoder, Vectors, Words
from indexer.late_interaction import Packed, late_scores
from indexer.ranking import Ranking
from indexer.snapshot import Found
from scenes.description import SceneDescription

Tick = Callable[[int, int], None]
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Gallery:
    """`vectors` float32 (n, views, dim) and `words`, n packed word vectors, of n descriptions."""

    encoder: Encoder
    ranking: Ranking
    vectors: Vectors
    words: tuple[Packed, ...]

    @classmethod
    def of(
        cls,
        descriptions: Sequence[SceneDescription],
        encoder: Encoder,
        ranking: Ranking,
        tick: Tick = lambda _done, _total: None,
    ) -> "Gallery":
        embedded = []
        for start in range(0, len(descriptions), _BATCH):
            embedded += embed(descriptions[start : start + _BATCH], encoder)
            tick(len(embedded), len(descriptions))
        shape = (0, encoder.recipe.views, encoder.recipe.dimensions)
        vectors = np.stack([one.vectors for one in embedded]) if embedded else np.empty(shape, np.float32)
        return cls(encoder, ranking, vectors, tuple(one.words for one in embedded))

    def search(self, queries: Sequence[str], k: int) -> list[Found]:
        """The k best descriptions of each query, by their place."""
        encoded = self.encoder.encode_queries(queries)
        said: Sequence[Words | None] = encoded.words or [None] * len(queries)
        return [self._search(vector, words, k) for vector, words in zip(encoded.vectors, said, strict=True)]

    def pair_scores(self, queries: Sequence[str], places: Sequence[int]) -> NDArray[np.float32]:
        """Scores float32 (n,) of n queries, each against the description at its place."""
        encoded = self.encoder.encode_queries(queries)
        dense: NDArray[np.float32] = np.max(
            np.einsum("nvd,nd->nv", self.vectors[list(places)], encoded.vectors), axis=1
        )
        if not encoded.words:
            return dense
        pairs = zip(encoded.words, places, strict=True)
        late = [late_scores(words, [self.words[place]])[:, 0] for words, place in pairs]
        return self.ranking.fused(dense, np.stack(late, axis=1))

    def _search(self, query: Vectors, words: Words | None, k: int) -> Found:
        scores = np.max(self.vectors @ query, axis=1)
        order = np.argsort(-scores, kind="stable")[: self.ranking.candidates(k)]
        found = Found(order, scores[order].astype(np.float32))
        return self.ranking.ranked(found, words, {row: self.words[row] for row in order.tolist()}).first(k)
