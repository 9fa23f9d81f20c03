"""Search: query to answer. The same service answers the command line, REST and the pages."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from app.http.fresh_ids import fresh_id
from app.http.security import Secret
from app.http.telemetry.spans import add_stages, staged
from app.search.catalog_cache import CollectionCache, ImageCache
from app.search.cursor import next_cursor, start_of
from app.search.evidence import in_common
from app.search.reply import Reply
from app.search.shown import Hit, Shown
from indexer.encoding.encoder import Encoder
from indexer.releases.loading import Accelerate
from indexer.releases.loading import itself as no_replica
from indexer.releases.recall_sample import RecallSampler
from indexer.reranking.reranking import Reranking
from indexer.retrieval.request import Retrieved, SearchRequest, Timings
from indexer.retrieval.retriever import Retriever, make_retriever
from scenes.answer import Answer, Query
from scenes.catalog import searches
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.content_words import content_words
from scenes.fields import fields_of
from scenes.filtering import parse


class SearchLog(Protocol):
    """Keeps stored searches; `put` never waits long."""

    async def put(self, search: StoredSearch) -> None: ...


class Watcher(Protocol):
    """Counts what searches report of themselves."""

    def batch_seen(self, size: int) -> None: ...

    def cache_hit(self, hit: bool) -> None: ...

    def stage_took(self, stage: str, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchService:
    """Everything a search needs, injected."""

    retriever: Retriever
    collections: CollectionCache
    images: ImageCache
    log: SearchLog
    secret: Secret
    catalog: Catalog
    watcher: Watcher | None = None

    def close(self) -> None:
        """End its threads; searches that wait for them are cancelled."""
        self.retriever.close()

    async def search(self, collection_name: str, query: Query) -> Answer:
        """The answer to one query.

        Raises `NotFound` (`collection_unknown`), `BadInput`, `Overloaded`, `EnvironmentMissing`.
        """
        return (await self.reply(collection_name, query)).answer()

    async def reply(self, collection_name: str, query: Query) -> Reply:
        """What one query found. Raises as `search` does."""
        conditions = None if query.filter is None else parse(query.filter)
        fields = None if query.fields is None else fields_of(query.fields)
        collection = await self.collections.get(collection_name)
        reranker = self.retriever.reranker
        start = start_of(query, reranker)
        request = SearchRequest(query.query, query.k, start.offset, conditions, fields, start.reranked)
        found = await self.retriever.retrieve(collection, request)
        self._report(found.timings)
        hits = await staged("show", self._hits(collection, request, found))
        stored = await staged("store", self._store(collection, query, found, hits))
        following = next_cursor(query, start, found.reranked, reranker) if found.has_more else None
        return Reply(_frame(found, hits, stored, following), hits)

    def _report(self, timings: Timings) -> None:
        add_stages((stage.name, stage.began, stage.ended) for stage in timings.stages)
        if self.watcher is None:
            return
        if timings.embedded:
            self.watcher.batch_seen(timings.embedded)
        if timings.cached is not None:
            self.watcher.cache_hit(timings.cached)
        for stage, seconds in timings.measured:
            self.watcher.stage_took(stage, seconds)

    async def _hits(self, collection: CollectionRow, request: SearchRequest, found: Retrieved) -> tuple[Hit, ...]:
        images = await self.images.by_rows(collection, found.rows)
        made = partial(_hits_of, found, images, request.fields, content_words(request.query))
        return made() if request.fields is None else await asyncio.to_thread(made)  # fields may have to be parsed

    async def _store(
        self, collection: CollectionRow, query: Query, found: Retrieved, hits: Sequence[Hit]
    ) -> uuid.UUID | None:
        policy = collection.settings.search_log
        if policy == "off":
            return None
        now = datetime.now(UTC)
        search = StoredSearch(
            id=fresh_id(),
            collection_id=collection.id,
            release=found.release,
            query_text=query.query if policy == "full" else None,
            query_hash=self.secret.digest("query", query.query) if policy == "keyed-hash" else None,
            k=query.k,
            results=tuple((hit.shown.view.image_id, hit.score) for hit in hits),
            created_at=now,
            expires_at=now + collection.settings.search_log_expiry,
        )
        await self.log.put(search)
        return search.id


def _frame(found: Retrieved, hits: Sequence[Hit], search_id: uuid.UUID | None, following: str | None) -> Answer:
    """The answer without its results."""
    return Answer.model_construct(
        results=(),
        matches="some" if hits and found.matches else "none",
        exists=found.exists,
        reranked=found.reranked,
        query_truncated=found.truncated,
        release=None if found.release is None else str(found.release),
        search_id=search_id,
        next_cursor=following,
        pending=found.pending,
    )


def _hits_of(
    found: Retrieved, images: Mapping[int, Shown], fields: tuple[str, ...] | None, wanted: frozenset[str]
) -> tuple[Hit, ...]:
    """The images found that still exist, with the phrases that have words in common with the query."""
    ranked = zip(found.rows, found.scores, found.probabilities, strict=True)
    there = [(images[row], score, chance) for row, score, chance in ranked if row in images]
    evidence = in_common([shown.phrases_of(fields) for shown, _, _ in there], wanted)
    return tuple([Hit(*one, phrases) for one, phrases in zip(there, evidence, strict=True)])


class DirectLog:
    """Writes each stored search at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def put(self, search: StoredSearch) -> None:
        async with self._catalog.writing() as session:
            await searches.store(session, [search])


def make_service(
    catalog: Catalog,
    load: Callable[[str | None], Encoder],
    home: Path,
    secret: Secret,
    log: SearchLog | None = None,
    watcher: Watcher | None = None,
    accelerate: Accelerate = no_replica,
    sampler: RecallSampler | None = None,
    reranking: Reranking | None = None,
    runners: int | None = None,
) -> SearchService:
    """A service over encoders by name; without a log it stores each search before it answers."""
    retriever = make_retriever(catalog, load, home, accelerate, sampler, reranking, runners)
    caches = CollectionCache(catalog), ImageCache(catalog)
    return SearchService(retriever, *caches, log or DirectLog(catalog), secret, catalog, watcher)
