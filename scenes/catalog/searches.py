"""Stored searches: ids, scores, release and time; query text only where the collection's policy keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Text, column, delete, func, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import TypeEngine

from scenes.catalog.bulk import as_parameter, given_later
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import collections, searches
from scenes.errors import NotFound

_ROWS = "rows"


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
    """Keep searches, however many, in one statement with one parameter; those of a deleted collection are left out.

    Sent again, it changes nothing: who lost the connection while it was committed can't know whether it was.
    """
    if not rows:
        return
    await session.execute(_storing(), {_ROWS: as_parameter([_values(row) for row in rows])})


@cache
def _storing() -> Insert:
    """The statement that stores; building it anew takes longer than sending it."""
    sent = given_later(_ROWS, *(column(name, _sent_as(name)) for name in StoredSearch.__slots__))
    kept = [func.decode(one, "hex") if one.name == "query_hash" else one for one in sent.c]
    there = select(*kept).join(collections, collections.c.id == sent.c.collection_id)
    locked = there.with_for_update(read=True, key_share=True, of=collections)
    return upsert(searches).from_select(list(StoredSearch.__slots__), locked).on_conflict_do_nothing()


async def get(session: ReadSession, search_id: UUID) -> StoredSearch:
    """Raises `NotFound` (`search_unknown`), also for one past its expiry."""
    found = select(searches).where(searches.c.id == search_id, searches.c.expires_at > func.now())
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise NotFound("search_unknown", f"there is no stored search {search_id}")
    values = {name: getattr(row, name) for name in StoredSearch.__slots__}
    return StoredSearch(**(values | {"results": tuple((item["image_id"], item["score"]) for item in row.results)}))


async def texts(session: ReadSession, collection_id: int, limit: int) -> list[str]:
    """The newest different queries whose text the policy kept, those not past their expiry."""
    kept = (searches.c.collection_id == collection_id, searches.c.query_text.is_not(None))
    newest = func.max(searches.c.created_at)
    found = select(searches.c.query_text).where(*kept, searches.c.expires_at > func.now())
    grouped = found.group_by(searches.c.query_text).order_by(newest.desc(), searches.c.query_text).limit(limit)
    return [query for (query,) in await session.execute(grouped)]


async def purge_expired(session: WriteSession) -> int:
    """Delete what is past its expiry; returns how many."""
    return (await session.execute(delete(searches).where(searches.c.expires_at <= func.now()))).rowcount


def _sent_as(name: str) -> TypeEngine[Any]:
    """The type of a column on its way through JSON, which has no bytes."""
    sent: TypeEngine[Any] = Text() if name == "query_hash" else searches.c[name].type
    return sent


def _values(row: StoredSearch) -> dict[str, object]:
    return {
        "id": row.id,
        "collection_id": row.collection_id,
        "release": row.release,
        "query_text": row.query_text,
        "query_hash": row.query_hash.hex() if row.query_hash else None,
        "k": row.k,
        "results": [{"image_id": image_id, "score": score} for image_id, score in row.results],
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
