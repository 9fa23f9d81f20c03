"""Query to ranked images: the one path of the server, the command line, explanations and evaluation.

The caller says which collection and what is asked for; it gets the rows of one page of images back. Nothing here knows
who asks, what is shown of an image or what is stored of a search.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from indexer.encoding.encoder import Encoder
from indexer.releases.index_reader import Found
from indexer.releases.loading import Accelerate
from indexer.releases.loading import itself as no_replica
from indexer.releases.recall_sample import RecallSampler
from indexer.reranking.queue import RerankQueue
from indexer.reranking.reranking import Reranking
from indexer.retrieval.encoders import Encoders, OpenEncoder, Place
from indexer.retrieval.fields import FieldBounds, FieldSearch
from indexer.retrieval.filtered import search_filtered
from indexer.retrieval.page import Page
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.request import Outcome, Retrieved, SearchRequest, Stage, Timings
from indexer.retrieval.search_batch import EncodedQuery, Looked, Lookup, Target
from indexer.tokens.token_cache import TokenCache
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog

T = TypeVar("T")


class Retriever:
    """Finds and ranks images; used on one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        encoders: Encoders,
        ranking: Ranking,
        reranking: Reranking | None = None,
        sampler: RecallSampler | None = None,
        bounds: FieldBounds = FieldBounds(),
    ) -> None:
        self.encoders = encoders
        self._catalog = catalog
        self.ranking = ranking
        self.tokens = TokenCache(catalog)
        self.fields = FieldSearch(catalog, ranking, bounds)
        self.reranks = None if reranking is None else RerankQueue(reranking, catalog)
        self.sampler = sampler
        self.reranker = None if reranking is None else reranking.reranker.name
        """The re-ranker's name, if there is one: pages of one answer are all ordered by the same."""

    def close(self) -> None:
        """End the threads; requests that wait for them are cancelled."""
        self.encoders.close()
        if self.reranks is not None:
            self.reranks.close()

    async def retrieve(
        self, collection: CollectionRow, request: SearchRequest, encoder: OpenEncoder | None = None
    ) -> Retrieved:
        """One page of the images that fit best, by the encoder that answers the collection, or by a named one.

        Raises `Overloaded`, `EnvironmentMissing`, `NotFound` (`collection_unknown`).
        """
        timings = Timings()
        place = await self.place(collection, timings, encoder)
        page = request.page(self.ranking.candidates(request.k))
        encoded, outcome = await self._outcome(place, page, request, timings)
        if self.reranks is not None:
            outcome = await _timed("rerank", self.reranks.put(collection.id, outcome, request), timings)
            last = timings.stages[-1]
            timings.measured.append((last.name, (last.ended - last.began) / 1e9))
        release = None if place.reader.release is None else place.reader.release.id
        pending = len(place.reader.pending)
        return Retrieved.of(request, page, outcome, encoded, place.encoder.relevance, pending, release, timings)

    async def place(self, collection: CollectionRow, timings: Timings, encoder: OpenEncoder | None = None) -> Place:
        """Where a search of this collection looks now."""
        by = encoder or await self.encoders.answering(collection)
        return Place(collection, by, await _timed("snapshot", by.searcher.snapshot(collection), timings))

    async def encoded(self, place: Place, query: str, timings: Timings) -> EncodedQuery:
        """The embedded query."""
        return (await self._look(place, query, None, timings)).encoded

    async def ranked(self, place: Place, page: Page, found: Found, encoded: EncodedQuery) -> Found:
        """The candidates of one query in the order shown; token vectors that are not in memory are read.

        Raises `EnvironmentMissing` where Postgres is away.
        """
        if encoded.words is None:
            return found
        rows = found.rows.tolist()
        said = await self.tokens.by_rows(place.collection, place.encoder.encoder.recipe, rows)
        (ranked,) = await asyncio.to_thread(page.ranked_each, self.ranking, [found], [encoded.words], said)
        return ranked

    async def _outcome(
        self, place: Place, page: Page, request: SearchRequest, timings: Timings
    ) -> tuple[EncodedQuery, Outcome]:
        if request.fields is not None:
            encoded = await self.encoded(place, request.query, timings)
            parts = await _timed("parts", self.fields.search(place, request, encoded), timings)
            return encoded, parts.outcome
        if request.filter is not None:
            return await self._filtered(place, page, request, timings)
        looked = await self._look(place, request.query, self._target(place, page), timings)
        assert looked.ranked is not None  # noqa: S101 - there was a target
        found = looked.ranked.found
        if not looked.ranked.complete:
            found = await _timed("rank", self.ranked(place, page, found, looked.encoded), timings)
        return looked.encoded, Outcome(found)

    async def _filtered(
        self, place: Place, page: Page, request: SearchRequest, timings: Timings
    ) -> tuple[EncodedQuery, Outcome]:
        assert request.filter is not None  # noqa: S101 - the caller has looked
        encoded = await self.encoded(place, request.query, timings)
        passing = await search_filtered(self._catalog, place.reader, encoded.vector, page.candidates, request.filter)
        ranked = await _timed("rank", self.ranked(place, page, passing.found, encoded), timings)
        return encoded, Outcome(ranked, passing.exists)

    def _target(self, place: Place, page: Page) -> Target:
        fingerprint = place.encoder.fingerprint
        return Target(place.collection, fingerprint, place.reader, page, self.tokens, self.sampler)

    async def _look(self, place: Place, query: str, target: Target | None, timings: Timings) -> Looked:
        """Embed the query, if its vectors are not known, and look at the target together with other requests."""
        by = place.encoder
        known = by.vectors.get(query) if place.may_remember else None
        timings.cached = known is not None if place.may_remember else None
        if known is not None and target is None:
            return Looked(known)
        looked = await _timed("look", by.batcher.do(Lookup(query, known, target)), timings)
        if place.may_remember and known is None:
            by.vectors.put(query, looked.encoded)
        if looked.measured is not None:
            timings.measured += looked.measured.stages
            timings.embedded = looked.measured.embedded
        return looked


async def _timed(name: str, work: Awaitable[T], timings: Timings) -> T:
    began = time.time_ns()
    result = await work
    timings.stages.append(Stage(name, began, time.time_ns()))
    return result


def make_retriever(
    catalog: Catalog,
    load: Callable[[str | None], Encoder],
    home: Path,
    accelerate: Accelerate = no_replica,
    sampler: RecallSampler | None = None,
    reranking: Reranking | None = None,
    runners: int | None = None,
) -> Retriever:
    """A retriever over encoders by name; `runners` batches of queries are worked on at a time, one for each core if
    left out."""
    ranking = Ranking()
    encoders = Encoders(catalog, home, load, ranking, accelerate, runners)
    return Retriever(catalog, encoders, ranking, reranking, sampler)
