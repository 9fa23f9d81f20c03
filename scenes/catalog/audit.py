"""The audit log: who wrote what, and when; a row is committed with the write that it tells of, or not at all."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, text

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import audit

_TURN = 0x6175646974  # 'audit'


@dataclass(frozen=True, slots=True)
class Entry:
    """One write. `action` is 'noun.verb'; `target` names the image, key, job or search that was written."""

    id: int
    at: datetime
    key_id: str
    action: str
    collection: str | None
    target: str | None


async def add(
    session: WriteSession, key_id: str, action: str, collection: str | None = None, target: str | None = None
) -> None:
    """Tell of a write in its own transaction, as its last statement: entries are numbered in commit order."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
    values = {"key_id": key_id, "action": action, "collection": collection, "target": target}
    await session.execute(insert(audit).values(**values))


async def page(
    session: ReadSession, collection: str | None, *, key_id: str | None = None, after: int = 0, limit: int = 100
) -> list[Entry]:
    """Entries of a collection (None: all there are), the oldest first, those behind `after`."""
    found = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    if collection is not None:
        found = found.where(audit.c.collection == collection)
    if key_id is not None:
        found = found.where(audit.c.key_id == key_id)
    return [Entry(**{name: getattr(row, name) for name in Entry.__slots__}) for row in await session.execute(found)]
