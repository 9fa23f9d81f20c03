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

from app.search.engines import Engine, Engines, Watcher
from app.search.evidence import chosen, content_words
from app.search.known import KnownCollections, KnownImages
from app.search.paging import Page, page_of
from app.search.recall import RecallWatch
from app.search.reply import Reply
from app.search.shown import Hit
from app.search.words import KnownWords
from app.security import Secret
from app.stages import staged
from indexer.encoder import Encoder
from indexer.filtered import search_filtered
from indexer.late_interaction import Packed
from indexer.loading import Accelerate, itself
from indexer.microbatch import EncodedQuery
from indexer.ranking import Ranking
from indexer.searcher import Found, Snapshot
from scenes.answer import Answer, Query
from scenes.catalog import searches
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.errors import BadInput
from scenes.filtering import Filter, parse
from scenes.relevance import Relevance

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
    log: SearchLog
    secret: Secret
    catalog: Catalog
    ranking: Ranking = Ranking()
    recall: RecallWatch | None = None

    async def search(self, collection_name: str, query: Query) -> Answer:
        """The answer to one query. Raises `NotFound` (`collection_unknown`), `BadInput`, `EnvironmentMissing`."""
        return (await self.reply(collection_name, query)).answer()

    async def reply(self, collection_name: str, query: Query) -> Reply:
        """What one query found. Raises as `search` does."""
        _refuse_unsupported(query)
        asked = None if query.filter is None else parse(query.filter)
        collection = await self.collections.get(collection_name)
        engine = await self.engines.answering(collection)
        snapshot = await staged("snapshot", engine.searcher.snapshot(collection))
        page = page_of(query, self.ranking)
        look = partial(self._look, collection, engine, snapshot, page, asked is None)
        remember = collection.settings.search_log != "off"
        looked = await staged("look", engine.encoder.encode_then(query.query, look, remember=remember))
        exists = None
        if asked is not None:
            looked, exists = await self._filtered(looked.encoded, snapshot, page.candidates, asked)
        ranked = looked.found if looked.ranked else await staged("rank", self._ranked(collection, engine, looked, page))
        hits = await staged("show", self._hits(collection, engine, ranked, query, page))
        stored = await staged("store", self._store(collection, snapshot, query, hits))
        frame = _frame(snapshot, hits, looked.encoded, stored, exists)
        following = page.following(query, len(ranked.rows))
        return Reply(frame.model_copy(update={"next_cursor": following}) if following else frame, hits)

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
        rows = found.rows.tolist()
        words = {} if encoded.words is None else self.words.at_hand(collection, engine.fingerprint, rows)
        if encoded.words is not None and len(words) < len(rows):
            return Looked(found, encoded, ranked=False)
        return Looked(self._rank(found, encoded, words, page), encoded, ranked=True)

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
        return await asyncio.to_thread(self._rank, looked.found, looked.encoded, words, page)

    def _rank(self, found: Found, encoded: EncodedQuery, words: Mapping[int, Packed], page: Page) -> Found:
        started = time.perf_counter()
        ranked = page.ranked(self.ranking, found, encoded.words, words)
        self.engines.watcher.stage_took("rank", time.perf_counter() - started)
        return ranked

    async def _hits(
        self, collection: CollectionRow, engine: Engine, ranked: Found, query: Query, page: Page
    ) -> tuple[Hit, ...]:
        found = page.of(ranked)
        rows = found.rows.tolist()
        images = await self.images.by_rows(collection, rows)
        wanted = content_words(query.query)
        chances = _chances(ranked, engine.relevance)[page.offset :]
        there = zip(rows, found.scores.tolist(), chances, strict=False)
        return tuple(
            Hit(images[row], score, chance, chosen(images[row].phrases, wanted))
            for row, score, chance in there
            if row in images
        )

    async def _store(
        self, collection: CollectionRow, snapshot: Snapshot, query: Query, hits: Sequence[Hit]
    ) -> uuid.UUID | None:
        policy = collection.settings.search_log
        if policy == "off":
            return None
        now = datetime.now(UTC)
        search = StoredSearch(
            id=uuid.uuid4(),
            collection_id=collection.id,
            release=snapshot.release.id if snapshot.release else None,
            query_text=query.query if policy == "full" else None,
            query_hash=self.secret.digest("query", query.query) if policy == "keyed-hash" else None,
            k=query.k,
            results=tuple((hit.shown.view.image_id, hit.score) for hit in hits),
            created_at=now,
            expires_at=now + collection.settings.search_log_expiry,
        )
        await self.log.put(search)
        return search.id


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
    accelerate: Accelerate = itself,
    recall: RecallWatch | None = None,
) -> SearchService:
    """A service over encoders by name; without a log it stores each search before it answers."""
    engines = Engines(catalog, home, load, watcher, accelerate)
    known = KnownCollections(catalog), KnownImages(catalog), KnownWords(catalog)
    return SearchService(engines, *known, log or DirectLog(catalog), secret, catalog, recall=recall)


def _refuse_unsupported(query: Query) -> None:
    if query.fields is not None:
        raise BadInput("not_supported_yet", "'fields' is not supported by this version", fix="leave 'fields' out")


def _chances(ranked: Found, relevance: Relevance | None) -> Sequence[float | None]:
    """P(relevant) of the ranked images, None each where the encoder is not calibrated."""
    if relevance is None:
        return [None] * len(ranked.rows)
    return [round(chance, 4) for chance in relevance.probabilities(ranked.scores.tolist())]


def _frame(
    snapshot: Snapshot, hits: Sequence[Hit], encoded: EncodedQuery, search_id: uuid.UUID | None, exists: int | None
) -> Answer:
    return Answer(
        results=(),
        matches="some" if hits else "none",
        exists=exists,
        query_truncated=encoded.truncated,
        release=str(snapshot.release.id) if snapshot.release else None,
        search_id=search_id,
    )
