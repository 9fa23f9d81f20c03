"""Descriptions held in memory and ranked exactly as the server ranks them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.embedding import embed
from indexer.encoding.encoder import Encoder, Vectors, Words
from indexer.releases.index_reader import Found
from indexer.retrieval.late_interaction import Packed, Said, late_scores
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.reranking import Reranking, pair_scores
from scenes.description import SceneDescription
from scenes.wording import whole_text

Tick = Callable[[int, int], None]
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Gallery:
    """`vectors` float32 (n, views, dim) and `words`, n packed word vectors, of n descriptions; `texts` are what
    they say, where they are re-ranked by it."""

    encoder: Encoder
    ranking: Ranking
    vectors: Vectors
    words: tuple[Packed, ...]
    reranking: Reranking | None = None
    texts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        descriptions: Sequence[SceneDescription],
        encoder: Encoder,
        ranking: Ranking,
        tick: Tick = lambda _done, _total: None,
        reranking: Reranking | None = None,
    ) -> "Gallery":
        embedded = []
        for start in range(0, len(descriptions), _BATCH):
            embedded += embed(descriptions[start : start + _BATCH], encoder)
            tick(len(embedded), len(descriptions))
        shape = (0, encoder.recipe.views, encoder.recipe.dimensions)
        vectors = np.stack([one.vectors for one in embedded]) if embedded else np.empty(shape, np.float32)
        texts = () if reranking is None else tuple(whole_text(one) for one in descriptions)
        return cls(encoder, ranking, vectors, tuple(one.words for one in embedded), reranking, texts)

    def search(self, queries: Sequence[str], k: int) -> list[Found]:
        """The k best descriptions of each query, by their place."""
        encoded = self.encoder.encode_queries(queries)
        said: Sequence[Words | None] = encoded.words or [None] * len(queries)
        asked = zip(queries, encoded.vectors, said, strict=True)
        return [self._reranked(query, self._search(vector, words, k)).first(k) for query, vector, words in asked]

    def pair_scores(self, queries: Sequence[str], places: Sequence[int]) -> NDArray[np.float32]:
        """Scores float32 (n,) of n queries, each against the description at its place.

        With a re-ranker they are its alone: it decides between any two candidates that it has read.
        """
        if self.reranking is not None:
            return pair_scores(self.reranking.reranker, queries, [self.texts[place] for place in places])
        encoded = self.encoder.encode_queries(queries)
        dense: NDArray[np.float32] = np.max(
            np.einsum("nvd,nd->nv", self.vectors[list(places)], encoded.vectors), axis=1
        )
        if not encoded.words:
            return dense
        pairs = zip(encoded.words, places, strict=True)
        late = [late_scores(words, Said.of([self.words[place]]))[:, 0] for words, place in pairs]
        return self.ranking.fused(dense, np.stack(late, axis=1))

    def _search(self, query: Vectors, words: Words | None, k: int) -> Found:
        scores = np.max(self.vectors @ query, axis=1)
        order = np.argsort(-scores, kind="stable")[: self.ranking.candidates(k)]
        found = Found(order, scores[order].astype(np.float32))
        return self.ranking.ranked(found, words, Said.of([self.words[row] for row in order.tolist()]))

    def _reranked(self, query: str, found: Found) -> Found:
        if self.reranking is None:
            return found
        texts = {row: self.texts[row] for row in found.rows.tolist()}
        return self.reranking.reranked(found, query, texts).found
