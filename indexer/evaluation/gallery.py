"""Descriptions in memory, searched and ranked by the code that answers the server's searches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.embedding import embed
from indexer.encoding.encoder import Encoder, Vectors
from indexer.releases.index_reader import Found
from indexer.reranking.reranking import Reranking, pair_scores
from indexer.retrieval.memory import InMemory
from indexer.retrieval.page import Page
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.search_batch import encoded_queries, rank, search
from scenes.description import SceneDescription
from scenes.wording import whole_text

Tick = Callable[[int, int], None]
_BATCH = 128
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Gallery:
    """n descriptions by their place; `texts` are what they say, where they are re-ranked by it."""

    encoder: Encoder
    ranking: Ranking
    source: InMemory
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
        shape = (len(embedded), encoder.recipe.views, encoder.recipe.dimensions)
        vectors: Vectors = np.array([one.vectors for one in embedded], np.float32).reshape(shape)
        source = InMemory.of(np.arange(len(embedded)), vectors, [one.words for one in embedded])
        texts = () if reranking is None else tuple(whole_text(one) for one in descriptions)
        return cls(encoder, ranking, source, reranking, texts)

    def search(self, queries: Sequence[str], k: int) -> list[Found]:
        """The k best descriptions of each query, by their place."""
        page = Page(0, k, self.ranking.candidates(k))
        encoded = encoded_queries(self.encoder.encode_queries(queries))
        batches = [encoded[start : start + _AT_ONCE] for start in range(0, len(encoded), _AT_ONCE)]
        ranked = [one.found for batch in batches for one in search(self.source, self.ranking, page, batch)]
        return [page.of(self._reranked(query, found)) for query, found in zip(queries, ranked, strict=True)]

    def pair_scores(self, queries: Sequence[str], places: Sequence[int]) -> NDArray[np.float32]:
        """Scores float32 (n,) of n queries, each against the description at its place.

        With a re-ranker they are its alone: it decides between any two candidates that it has read.
        """
        if self.reranking is not None:
            return pair_scores(self.reranking.reranker, queries, [self.texts[place] for place in places])
        encoded = encoded_queries(self.encoder.encode_queries(queries))
        pairs = zip(encoded, places, strict=True)
        found = [self.source.reader.search(query.vector, 1, np.array([place])) for query, place in pairs]
        ranked = rank(self.source, self.ranking, Page(0, 1, 1), found, encoded)
        return np.array([one.found.scores[0] for one in ranked], np.float32)

    def _reranked(self, query: str, found: Found) -> Found:
        if self.reranking is None:
            return found
        texts = {row: self.texts[row] for row in found.rows.tolist()}
        return self.reranking.reranked(found, query, texts).found
