"""The first look of a search, done for all queries of a batch that look at the same place: candidates of the index, and
their order where all of their words are at hand; a look does no I/O."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from app.search.engines import Watcher
from app.search.outcome import Place
from app.search.paging import Page
from app.search.recall import RecallWatch
from app.search.words import KnownWords
from indexer.encoding.encoder import Words
from indexer.encoding.micro_batch import EncodedQuery
from indexer.releases.index_reader import Found
from indexer.retrieval.batch_search import search_each
from indexer.retrieval.late_interaction import Said
from indexer.retrieval.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found: images ranked by words as well, or the candidates whose words must be read first."""

    found: Found
    encoded: EncodedQuery
    ranked: bool


@dataclass(frozen=True, slots=True)
class Looking:
    """What a look needs."""

    words: KnownWords
    ranking: Ranking
    watcher: Watcher
    recall: RecallWatch | None = None

    def candidates(self, at: Place, page: Page, encoded: Sequence[EncodedQuery]) -> list[Found]:
        """What the index finds for each query."""
        started = time.perf_counter()
        found = search_each(at.snapshot, np.stack([one.vector for one in encoded]), page.candidates)
        self.watcher.stage_took("index", time.perf_counter() - started)
        if self.recall is not None:
            self.recall.sampler.offer(at.snapshot, encoded[-1].vector, page.candidates)
        return found

    def ranked(self, page: Page, found: Sequence[Found], queries: Sequence[Words], said: Said) -> list[Found]:
        """The candidates of each query in the order shown; `said` is what those of all say."""
        started = time.perf_counter()
        ranked = page.ranked_each(self.ranking, found, queries, said)
        self.watcher.stage_took("rank", time.perf_counter() - started)
        return ranked

    async def ranked_once_read(self, at: Place, page: Page, found: Found, encoded: EncodedQuery) -> Found:
        """The candidates of one query in the order shown; words that are not at hand are read.

        Raises `EnvironmentMissing` where Postgres is away.
        """
        if encoded.words is None:
            return found
        said = await self.words.by_rows(at.collection, at.engine.encoder.recipe, found.rows.tolist())
        (ranked,) = await asyncio.to_thread(self.ranked, page, [found], [encoded.words], said)
        return ranked


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The look of one search; equal where place and page are the same, so that a batch shares it."""

    by: Looking
    at: Place
    page: Page

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Look) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)

    @property
    def _same(self) -> tuple[int, int, Page]:
        return id(self.at.collection), id(self.at.snapshot), self.page

    def __call__(self, encoded: Sequence[EncodedQuery]) -> list[Looked]:
        found = self.by.candidates(self.at, self.page, encoded)
        queries = [one.words for one in encoded if one.words is not None]
        if len(queries) < len(encoded):
            return [Looked(one, query, ranked=True) for one, query in zip(found, encoded, strict=True)]
        rows = [row for one in found for row in one.rows.tolist()]
        said = self.by.words.at_hand(self.at.collection, self.at.engine.fingerprint, rows)
        if not said.is_whole:
            return list(self._as_far_as_whole(found, encoded, queries, said))
        ranked = self.by.ranked(self.page, found, queries, said)
        return [Looked(one, query, ranked=True) for one, query in zip(ranked, encoded, strict=True)]

    def _as_far_as_whole(
        self, found: Sequence[Found], encoded: Sequence[EncodedQuery], queries: Sequence[Words], said: Said
    ) -> Iterator[Looked]:
        """Each by itself, so that one whose words must be read first keeps no other waiting."""
        ends = accumulate(len(one.rows) for one in found)
        for one, query, words, end in zip(found, encoded, queries, ends, strict=True):
            mine = said.chosen(slice(end - len(one.rows), end))
            ranked = self.by.ranked(self.page, [one], [words], mine) if mine.is_whole else [one]
            yield Looked(ranked[0], query, ranked=mine.is_whole)
