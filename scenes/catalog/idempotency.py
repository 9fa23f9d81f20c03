"""Answers to writes that were sent with an Idempotency-Key, kept for a day.

An answer is committed in the transaction of the write that it tells of: there is never one without the other, wherever
a process or Postgres itself was killed.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.engine import ReadSession, WriteSession
from scenes.catalog.tables import idempotency

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer that was given."""

    request_sha256: bytes
    status: int
    media_type: str
    body: bytes


async def hold(session: WriteSession, caller: bytes, key: str) -> bool:
    """Be the only request with its key until this transaction ends; False where another one is."""
    number = int.from_bytes(hashlib.sha256(caller + key.encode()).digest()[:8], "big", signed=True)
    held = await session.execute(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
    return bool(held.scalar_one())


async def found(session: ReadSession, caller: bytes, key: str) -> Kept | None:
    """The answer that a write with this key got in the last day."""
    mine = (idempotency.c.caller == caller, idempotency.c.key == key)
    recent = (idempotency.c.status.is_not(None), idempotency.c.created_at > func.now() - KEPT)
    row = (await session.execute(select(idempotency).where(*mine, *recent))).one_or_none()
    return None if row is None else Kept(row.request_sha256, row.status, row.media_type, row.body)


async def keep(session: WriteSession, caller: bytes, key: str, answer: Kept) -> None:
    """Keep the answer, in place of one that is older than a day."""
    values = {name: getattr(answer, name) for name in Kept.__slots__} | {"created_at": func.now()}
    new = upsert(idempotency).values(caller=caller, key=key, **values)
    await session.execute(new.on_conflict_do_update(index_elements=["caller", "key"], set_=values))


async def purge(session: WriteSession) -> int:
    """Delete what is older than a day; returns how many."""
    return (await session.execute(delete(idempotency).where(idempotency.c.created_at < func.now() - KEPT))).rowcount
