"""What writes that were sent with an Idempotency-Key did, kept for a day.

It is committed in the transaction of the write itself: there is never one without the other, wherever a process or
Postgres itself was killed. The body of an answer is never kept, as it may hold a description that is erased later: of a
thing that was written, the path is kept.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import idempotency

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The status that was answered, and the path of what was written, where the answer had a body."""

    request_sha256: bytes
    status: int
    resource: str | None


async def hold(session: WriteSession, caller: bytes, key: str) -> bool:
    """Be the only request with its key until this transaction ends; False where another one is."""
    number = int.from_bytes(hashlib.sha256(caller + key.encode()).digest()[:8], "big", signed=True)
    held = await session.execute(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
    return bool(held.scalar_one())


async def found(session: ReadSession, caller: bytes, key: str) -> Kept | None:
    """What a write with this key did in the last day."""
    mine = (idempotency.c.caller == caller, idempotency.c.key == key)
    recent = (idempotency.c.status.is_not(None), idempotency.c.created_at > func.now() - KEPT)
    row = (await session.execute(select(idempotency).where(*mine, *recent))).one_or_none()
    return None if row is None else Kept(row.request_sha256, row.status, row.resource)


async def keep(session: WriteSession, caller: bytes, key: str, answer: Kept) -> None:
    """Keep what was done, in place of what is older than a day."""
    values = {name: getattr(answer, name) for name in Kept.__slots__} | {"created_at": func.now()}
    new = upsert(idempotency).values(caller=caller, key=key, **values)
    await session.execute(new.on_conflict_do_update(index_elements=["caller", "key"], set_=values))


async def purge(session: WriteSession) -> int:
    """Delete what is older than a day; returns how many."""
    return (await session.execute(delete(idempotency).where(idempotency.c.created_at < func.now() - KEPT))).rowcount
