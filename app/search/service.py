"""Search: query to answer. The same service answers the command line, REST and the pages."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from app.search.evidence import evidence
from app.security import Secret
from indexer.encoder import Encoded, Encoder
from indexer.searcher import Found, Searcher, Snapshot
from scenes.answer import Answer, Match, Query
from scenes.catalog import collections, images, searches
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.images import ImageView
from scenes.catalog.searches import StoredSearch
from scenes.errors import BadInput


class SearchLog(Protocol):
    """Keeps stored searches; `put` never waits long."""

    async def put(self, search: StoredSearch) -> None: ...


@dataclass(frozen=True, slots=True)
class SearchService:
    """Everything a search needs, injected."""

    catalog: Catalog
    encoder: Encoder
    searcher: Searcher
    log: SearchLog
    secret: Secret

    async def search(self, collection_name: str, query: Query) -> Answer:
        """The answer to one query. Raises `NotFound` (`collection_unknown`), `BadInput`, `EnvironmentMissing`."""
        _refuse_unsupported(query)
        encoding = asyncio.create_task(asyncio.to_thread(self.encoder.encode_queries, [query.query]))
        try:
            async with self.catalog.reading() as session:
                collection = await collections.get(session, collection_name)
            snapshot = await self.searcher.snapshot(collection)
            encoded = await encoding
        finally:
            encoding.cancel()
        found = await asyncio.to_thread(snapshot.search, encoded.vectors[0], query.k)
        async with self.catalog.reading() as session:
            views = await images.by_rows(session, collection.id, found.rows.tolist())
        matches = _matches(found, views, query.query)
        stored = await self._store(collection, snapshot, query, matches)
        return _answer(snapshot, matches, encoded, stored)

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


def make_service(catalog: Catalog, encoder: Encoder, home: Path, secret: Secret) -> SearchService:
    """A service that stores each search before it answers."""
    return SearchService(catalog, encoder, Searcher(catalog, encoder.recipe, home), DirectLog(catalog), secret)


def _refuse_unsupported(query: Query) -> None:
    for name in ("filter", "cursor", "fields"):
        if getattr(query, name) is not None:
            raise BadInput("not_supported_yet", f"{name!r} is not supported by this version", fix=f"leave {name!r} out")


def _matches(found: Found, views: Mapping[int, ImageView], query: str) -> tuple[Match, ...]:
    ranked = zip(found.rows.tolist(), found.scores.tolist(), strict=True)
    return tuple(_match(views[row], score, query) for row, score in ranked if row in views)


def _match(view: ImageView, score: float, query: str) -> Match:
    return Match(
        image_id=view.image_id,
        external_id=view.external_id,
        uri=view.uris[0] if view.uris else None,
        score=score,
        description=view.description,
        metadata=view.metadata,
        source=view.source,
        recipe=view.recipe,
        evidence=evidence(view.description, query),
    )


def _answer(snapshot: Snapshot, matches: tuple[Match, ...], encoded: Encoded, search_id: uuid.UUID | None) -> Answer:
    return Answer(
        results=matches,
        matches="some" if matches else "none",
        query_truncated=bool(np.any(encoded.truncated)),
        release=str(snapshot.release.id) if snapshot.release else None,
        search_id=search_id,
    )
