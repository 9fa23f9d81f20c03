"""Stored searches: ids, scores, release and time; query text only where the collection's policy keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from scenes.catalog.engine import ReadSession, WriteSession
from scenes.catalog.tables import searches
from scenes.errors import NotFound


@dataclass(frozen=True, slots=True)
class StoredSearch:
    """One answered search: `results` are (image id, score), best first."""

    id: UUID
    collection_id: int
    release: UUID | None
    query_text: str | None
    query_hash: bytes | None
    k: int
    results: tuple[tuple[str, float], ...]
    created_at: datetime
    expires_at: datetime


async def store(session: WriteSession, rows: Sequence[StoredSearch]) -> None:
    if rows:
        await session.execute(insert(searches), [_values(row) for row in rows])


async def get(session: ReadSession, search_id: UUID) -> StoredSearch:
    """Raises `NotFound` (`search_unknown`), also for one past its expiry."""
    found = select(searches).where(searches.c.id == search_id, searches.c.expires_at > func.now())
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise NotFound("search_unknown", f"there is no stored search {search_id}")
    values = {name: getattr(row, name) for name in StoredSearch.__slots__}
    return StoredSearch(**(values | {"results": tuple((item["image_id"], item["score"]) for item in row.results)}))


async def purge_expired(session: WriteSession) -> int:
    """Delete what is past its expiry; returns how many."""
    return (await session.execute(delete(searches).where(searches.c.expires_at <= func.now()))).rowcount


def _values(row: StoredSearch) -> dict[str, object]:
    values = {name: getattr(row, name) for name in StoredSearch.__slots__}
    return values | {"results": [{"image_id": image_id, "score": score} for image_id, score in row.results]}
