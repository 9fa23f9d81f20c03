"""Search: query to answer. The same service answers the command line, REST and the pages."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from app.fresh_ids import fresh_id
from app.search.engines import Engine, Engines, Watcher
from app.search.evidence import content_words
from app.search.known import KnownCollections, KnownImages
from app.search.outcome import Outcome, Place
from app.search.paging import Page, page_of
from app.search.parts import Asked, PartSearch
from app.search.recall import RecallWatch
from app.search.reply import Reply
from app.search.reranks import Reranks
from app.search.shown import Hit, Shown
from app.search.telling import Telling
from app.search.words import KnownWords
from app.security import Secret
from app.stages import staged
from indexer.encoder import Encoder
from indexer.filtered import search_filtered
from indexer.late_interaction import Said
from indexer.loading import Accelerate
from indexer.loading import itself as no_replica
from indexer.microbatch import EncodedQuery, itself
from indexer.ranking import Ranking
from indexer.reranking import Reranking
from indexer.searcher import Found, Snapshot
from scenes.answer import Answer, Query
from scenes.catalog import searches
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.filtering import Filter, parse
from scenes.parts import fields_of

_NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.float32))


class SearchLog(Protocol):
    """Keeps stored searches; `put` never waits long."""

    async def put(self, search: StoredSearch) -> None: ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found: images ranked by words as well, or the candidates whose words must be read first."""

    found: Found
    encoded: EncodedQuery
    ranked: bool


@dataclass(frozen=True, slots=True)
class SearchService:
    """Everything a search needs, injected."""

    engines: Engines
    collections: KnownCollections
    images: KnownImages
    words: KnownWords
    parts: PartSearch
    telling: Telling
    log: SearchLog
    secret: Secret
    catalog: Catalog
    ranking: Ranking = Ranking()
    recall: RecallWatch | None = None
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
        page = page_of(query, self.ranking, self.reranks.name if self.reranks else None)
        if fields is None:
            outcome = await self._by_everything(at, page, query, asked)
        else:
            outcome = await self._by_parts(at, query, fields, asked)
        if self.reranks is not None:
            outcome = await staged("rerank", self.reranks.put(at, outcome, query, page))
        hits = await staged("show", self._hits(at, outcome, query, page))
        stored = await staged("store", self._store(at, query, hits))
        found, reranked = len(outcome.ranked.rows), outcome.reranked
        following = page.following(query, found, complete=fields is not None, reranked=reranked)
        return Reply(outcome.frame(at, hits, stored, following), hits)

    async def _by_everything(self, at: Place, page: Page, query: Query, asked: Filter | None) -> Outcome:
        """Images by all that their descriptions say."""
        look = partial(self._look, at.collection, at.engine, at.snapshot, page, asked is None)
        encode = at.engine.encoder.encode_then(query.query, look, remember=at.remembers)
        looked, exists = await staged("look", encode), None
        if asked is not None:
            looked, exists = await self._filtered(looked.encoded, at.snapshot, page.candidates, asked)
        if looked.ranked:
            return Outcome(looked.found, looked.encoded, exists)
        ranked = await staged("rank", self._ranked(at.collection, at.engine, looked, page))
        return Outcome(ranked, looked.encoded, exists)

    async def _by_parts(self, at: Place, query: Query, fields: tuple[str, ...], asked: Filter | None) -> Outcome:
        """Images by what their descriptions say in these fields alone."""
        encode = at.engine.encoder.encode_then(query.query, itself, remember=at.remembers)
        encoded = await staged("look", encode)
        question = Asked(at.collection.id, at.engine, fields, query.query, encoded, asked)
        found = await staged("parts", self.parts.search(question, at.snapshot))
        return Outcome(found.found, encoded, found.exists, fields)

    def _look(
        self,
        collection: CollectionRow,
        engine: Engine,
        snapshot: Snapshot,
        page: Page,
        now: bool,
        encoded: EncodedQuery,
    ) -> Looked:
        """A page's candidates, ranked where all their words are at hand; nothing at all where not `now`. No I/O."""
        if not now:
            return Looked(_NOTHING, encoded, ranked=False)
        started = time.perf_counter()
        found = snapshot.search(encoded.vector, page.candidates)
        self.engines.watcher.stage_took("index", time.perf_counter() - started)
        if self.recall is not None:
            self.recall.sampler.offer(snapshot, encoded.vector, page.candidates)
        if encoded.words is None:
            return Looked(found, encoded, ranked=True)
        said = self.words.at_hand(collection, engine.fingerprint, found.rows.tolist())
        if not said.is_whole:
            return Looked(found, encoded, ranked=False)
        return Looked(self._rank(found, encoded, said, page), encoded, ranked=True)

    async def _filtered(
        self, encoded: EncodedQuery, snapshot: Snapshot, k: int, asked: Filter
    ) -> tuple[Looked, int | None]:
        """The k best images that pass, and how many pass, where that was counted."""
        filtered = await search_filtered(self.catalog, snapshot, encoded.vector, k, asked)
        return Looked(filtered.found, encoded, ranked=False), filtered.exists

    async def _ranked(self, collection: CollectionRow, engine: Engine, looked: Looked, page: Page) -> Found:
        """Candidates ranked by their words as well."""
        if looked.encoded.words is None:
            return looked.found
        words = await self.words.by_rows(collection, engine.encoder.recipe, looked.found.rows.tolist())
        said = Said.at(words, looked.found.rows)
        return await asyncio.to_thread(self._rank, looked.found, looked.encoded, said, page)

    def _rank(self, found: Found, encoded: EncodedQuery, said: Said, page: Page) -> Found:
        started = time.perf_counter()
        ranked = page.ranked(self.ranking, found, encoded.words, said)
        self.engines.watcher.stage_took("rank", time.perf_counter() - started)
        return ranked

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
            id=fresh_id(),
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
    return tuple(
        Hit(images[row], score, chance, images[row].phrases_of(fields).in_common(wanted))
        for row, score, chance in found
        if row in images
    )


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
    known = KnownCollections(catalog), KnownImages(catalog), KnownWords(catalog)
    parts, telling = PartSearch(catalog, Ranking()), Telling(catalog)
    reranks = None if reranking is None else Reranks(reranking, known[1], engines.watcher)
    writing = log or DirectLog(catalog)
    return SearchService(engines, *known, parts, telling, writing, secret, catalog, recall=recall, reranks=reranks)
