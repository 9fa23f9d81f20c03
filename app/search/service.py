"""Search: query to answer. The same service answers the command line, REST and the pages."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from app.search.engines import Engines, Watcher
from app.search.evidence import evidence
from app.search.known import KnownCollections, KnownImages
from app.search.words import KnownWords
from app.security import Secret
from indexer.encoder import Encoder, Vectors
from indexer.filtered import search_filtered
from indexer.microbatch import EncodedQuery
from indexer.ranking import Ranking
from indexer.searcher import Found, Snapshot
from scenes.answer import Answer, Match, Query
from scenes.catalog import searches
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.images import ImageView
from scenes.catalog.searches import StoredSearch
from scenes.errors import BadInput
from scenes.filtering import Filter, parse
from scenes.recipe import EncoderRecipe
from scenes.relevance import Relevance


class SearchLog(Protocol):
    """Keeps stored searches; `put` never waits long."""

    async def put(self, search: StoredSearch) -> None: ...


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

    async def search(self, collection_name: str, query: Query) -> Answer:
        """The answer to one query. Raises `NotFound` (`collection_unknown`), `BadInput`, `EnvironmentMissing`."""
        _refuse_unsupported(query)
        asked = None if query.filter is None else parse(query.filter)
        collection = await self.collections.get(collection_name)
        engine = await self.engines.of(collection.settings.encoder)
        snapshot = await engine.searcher.snapshot(collection)
        encoded = await engine.encoder.encode(query.query, remember=collection.settings.search_log != "off")
        found, exists = await self._candidates(snapshot, encoded.vector, self.ranking.candidates(query.k), asked)
        ranked = await self._ranked(collection, engine.encoder.recipe, encoded, found)
        found = ranked.first(query.k)
        views = await self.images.by_rows(collection, found.rows.tolist())
        matches = _matches(found, _chances(ranked, engine.relevance), views, query.query)
        stored = await self._store(collection, snapshot, query, matches)
        return _answer(snapshot, matches, encoded, stored).model_copy(update={"exists": exists})

    async def _candidates(
        self, snapshot: Snapshot, vector: Vectors, k: int, asked: Filter | None
    ) -> tuple[Found, int | None]:
        """The k best images, with a filter those that pass, and how many pass, where that was counted."""
        if asked is None:
            return await asyncio.to_thread(snapshot.search, vector, k), None
        filtered = await search_filtered(self.catalog, snapshot, vector, k, asked)
        return filtered.found, filtered.exists

    async def _ranked(
        self, collection: CollectionRow, encoder: EncoderRecipe, query: EncodedQuery, found: Found
    ) -> Found:
        """Candidates ranked by their words as well."""
        if query.words is None:
            return found
        words = await self.words.by_rows(collection, encoder, found.rows.tolist())
        return await asyncio.to_thread(self.ranking.ranked, found, query.words, words)

    async def _store(
        self, collection: CollectionRow, snapshot: Snapshot, query: Query, matches: Sequence[Match]
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
            results=tuple((match.image_id, match.score) for match in matches),
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
) -> SearchService:
    """A service over encoders by name; without a log it stores each search before it answers."""
    engines = Engines(catalog, home, load, watcher)
    known = KnownCollections(catalog), KnownImages(catalog), KnownWords(catalog)
    return SearchService(engines, *known, log or DirectLog(catalog), secret, catalog)


def _refuse_unsupported(query: Query) -> None:
    for name in ("cursor", "fields"):
        if getattr(query, name) is not None:
            raise BadInput("not_supported_yet", f"{name!r} is not supported by this version", fix=f"leave {name!r} out")


def _chances(ranked: Found, relevance: Relevance | None) -> Sequence[float | None]:
    """P(relevant) of the ranked images, None each where the encoder is not calibrated."""
    if relevance is None:
        return [None] * len(ranked.rows)
    return relevance.probabilities(ranked.scores.tolist())


def _matches(
    found: Found, chances: Sequence[float | None], views: Mapping[int, ImageView], query: str
) -> tuple[Match, ...]:
    ranked = zip(found.rows.tolist(), found.scores.tolist(), chances, strict=False)
    return tuple(_match(views[row], score, chance, query) for row, score, chance in ranked if row in views)


def _match(view: ImageView, score: float, chance: float | None, query: str) -> Match:
    return Match(
        image_id=view.image_id,
        external_id=view.external_id,
        uri=view.uris[0] if view.uris else None,
        score=score,
        probability=None if chance is None else round(chance, 4),
        description=view.description,
        metadata=view.metadata,
        source=view.source,
        recipe=view.recipe,
        evidence=evidence(view.description, query),
    )


def _answer(
    snapshot: Snapshot, matches: tuple[Match, ...], encoded: EncodedQuery, search_id: uuid.UUID | None
) -> Answer:
    return Answer(
        results=matches,
        matches="some" if matches else "none",
        query_truncated=encoded.truncated,
        release=str(snapshot.release.id) if snapshot.release else None,
        search_id=search_id,
    )
