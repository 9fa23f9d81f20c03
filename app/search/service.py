"""Search: query to answer. The same service answers the command line, REST and the pages."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from app.http.security import Secret
from app.http.telemetry.spans import staged
from app.search.engines import Engines, Watcher
from app.search.evidence import content_words, in_common
from app.search.known import KnownCollections, KnownImages
from app.search.looking import Look, Looking
from app.search.outcome import Outcome, Place
from app.search.paging import Page, page_of
from app.search.parts import Asked, PartSearch
from app.search.recall import RecallWatch
from app.search.reply import Reply
from app.search.reranks import Reranks
from app.search.shown import Hit, Shown
from app.search.telling import Telling
from app.search.words import KnownWords
from indexer.encoding.encoder import Encoder
from indexer.encoding.micro_batch import EncodedQuery, itself
from indexer.releases.index_reader import Found
from indexer.releases.loading import Accelerate
from indexer.releases.loading import itself as no_replica
from indexer.retrieval.filtered import search_filtered
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.reranking import Reranking
from scenes.answer import Answer, Query
from scenes.catalog import searches
from scenes.catalog.connection import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.fields import fields_of
from scenes.filtering import Filter, parse
from scenes.identity import random_id


class SearchLog(Protocol):
    """Keeps stored searches; `put` never waits long."""

    async def put(self, search: StoredSearch) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchService:
    """Everything a search needs, injected."""

    engines: Engines
    collections: KnownCollections
    images: KnownImages
    looking: Looking
    parts: PartSearch
    telling: Telling
    log: SearchLog
    secret: Secret
    catalog: Catalog
    reranks: Reranks | None = None

    def close(self) -> None:
        """Its threads end; whoever waits for them is not served any more."""
        self.engines.close()
        if self.reranks is not None:
            self.reranks.close()

    async def search(self, collection_name: str, query: Query) -> Answer:
        """The answer to one query.

        Raises `NotFound` (`collection_unknown`), `BadInput`, `Overloaded`, `EnvironmentMissing`.
        """
        return (await self.reply(collection_name, query)).answer()

    async def reply(self, collection_name: str, query: Query) -> Reply:
        """What one query found. Raises as `search` does."""
        asked = None if query.filter is None else parse(query.filter)
        fields = None if query.fields is None else fields_of(query.fields)
        collection = await self.collections.get(collection_name)
        engine = await self.engines.answering(collection)
        at = Place(collection, engine, await staged("snapshot", engine.searcher.snapshot(collection)))
        page = page_of(query, self.looking.ranking, self.reranks.name if self.reranks else None)
        if fields is not None:
            outcome = await self._by_parts(at, query, fields, asked)
        elif asked is not None:
            outcome = await self._by_everything_passing(at, page, query, asked)
        else:
            outcome = await self._by_everything(at, page, query)
        if self.reranks is not None:
            outcome = await staged("rerank", self.reranks.put(at, outcome, query, page))
        hits = await staged("show", self._hits(at, outcome, query, page))
        stored = await staged("store", self._store(at, query, hits))
        found, reranked = len(outcome.ranked.rows), outcome.reranked
        following = page.following(query, found, complete=fields is not None, reranked=reranked)
        return Reply(outcome.frame(at, hits, stored, following), hits)

    async def _by_everything(self, at: Place, page: Page, query: Query) -> Outcome:
        """Images by all that their descriptions say."""
        encode = at.engine.encoder.encode_then(query.query, Look(self.looking, at, page), remember=at.remembers)
        looked = await staged("look", encode)
        found, encoded = looked.found, looked.encoded
        return Outcome(found if looked.ranked else await self._ranked(at, page, found, encoded), encoded, None)

    async def _by_everything_passing(self, at: Place, page: Page, query: Query, asked: Filter) -> Outcome:
        """The same, of images that pass a filter; how many they are, where that was counted."""
        encode = at.engine.encoder.encode_then(query.query, itself, remember=at.remembers)
        encoded = await staged("look", encode)
        passing = await search_filtered(self.catalog, at.snapshot, encoded.vector, page.candidates, asked)
        return Outcome(await self._ranked(at, page, passing.found, encoded), encoded, passing.exists)

    async def _by_parts(self, at: Place, query: Query, fields: tuple[str, ...], asked: Filter | None) -> Outcome:
        """Images by what their descriptions say in these fields alone."""
        encode = at.engine.encoder.encode_then(query.query, itself, remember=at.remembers)
        encoded = await staged("look", encode)
        question = Asked(at.collection.id, at.engine, fields, query.query, encoded, asked)
        found = await staged("parts", self.parts.search(question, at.snapshot))
        return Outcome(found.found, encoded, found.exists, fields)

    async def _ranked(self, at: Place, page: Page, found: Found, encoded: EncodedQuery) -> Found:
        return await staged("rank", self.looking.ranked_once_read(at, page, found, encoded))

    async def _hits(self, at: Place, outcome: Outcome, query: Query, page: Page) -> tuple[Hit, ...]:
        found = page.of(outcome.ranked)
        rows = found.rows.tolist()
        images = await self.images.by_rows(at.collection, rows)
        chances = outcome.chances(at.engine.relevance, page.end)[page.offset :]
        there = list(zip(rows, found.scores.tolist(), chances, strict=False))
        made = partial(_hits_of, there, images, outcome.fields, content_words(query.query))
        return made() if outcome.fields is None else await asyncio.to_thread(made)  # fields may have to be parsed

    async def _store(self, at: Place, query: Query, hits: Sequence[Hit]) -> uuid.UUID | None:
        policy = at.collection.settings.search_log
        if policy == "off":
            return None
        now = datetime.now(UTC)
        search = StoredSearch(
            id=random_id(),
            collection_id=at.collection.id,
            release=at.release,
            query_text=query.query if policy == "full" else None,
            query_hash=self.secret.digest("query", query.query) if policy == "keyed-hash" else None,
            k=query.k,
            results=tuple((hit.shown.view.image_id, hit.score) for hit in hits),
            created_at=now,
            expires_at=now + at.collection.settings.search_log_expiry,
        )
        await self.log.put(search)
        return search.id


def _hits_of(
    found: Sequence[tuple[int, float, float | None]],
    images: Mapping[int, Shown],
    fields: tuple[str, ...] | None,
    wanted: frozenset[str],
) -> tuple[Hit, ...]:
    """The images of (row, score, chance) that are still there, with the phrases that have words in common."""
    there = [(images[row], score, chance) for row, score, chance in found if row in images]
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
    recall: RecallWatch | None = None,
    reranking: Reranking | None = None,
    runners: int | None = None,
) -> SearchService:
    """A service over encoders by name; without a log it stores each search before it answers."""
    engines = Engines(catalog, home, load, watcher, accelerate, runners)
    collections, images = KnownCollections(catalog), KnownImages(catalog)
    looking = Looking(KnownWords(catalog), Ranking(), engines.watcher, recall)
    parts, telling = PartSearch(catalog, looking.ranking), Telling(catalog)
    reranks = None if reranking is None else Reranks(reranking, images, engines.watcher)
    writing = log or DirectLog(catalog)
    return SearchService(engines, collections, images, looking, parts, telling, writing, secret, catalog, reranks)
