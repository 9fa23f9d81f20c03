"""Answers to writes that were sent with an Idempotency-Key, kept for a day."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.engine import ReadSession, WriteSession
from scenes.catalog.tables import idempotency

KEPT = timedelta(days=1)
ABANDONED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer that was given; `status` is None while the first request still runs."""

    request_sha256: bytes
    status: int | None
    media_type: str | None
    body: bytes | None


async def begin(session: WriteSession, caller: bytes, key: str, request_sha256: bytes) -> bool:
    """True where this request is the first with its key; one whose process died is forgotten after five minutes."""
    old = (idempotency.c.status.is_(None)) & (idempotency.c.created_at < func.now() - ABANDONED)
    mine = (idempotency.c.caller == caller) & (idempotency.c.key == key)
    await session.execute(delete(idempotency).where(mine & (old | (idempotency.c.created_at < func.now() - KEPT))))
    new = upsert(idempotency).values(caller=caller, key=key, request_sha256=request_sha256)
    made = await session.execute(new.on_conflict_do_nothing().returning(idempotency.c.key))
    return made.one_or_none() is not None


async def found(session: ReadSession, caller: bytes, key: str) -> Kept | None:
    wanted = select(idempotency).where(idempotency.c.caller == caller, idempotency.c.key == key)
    row = (await session.execute(wanted)).one_or_none()
    return None if row is None else Kept(row.request_sha256, row.status, row.media_type, row.body)


async def end(session: WriteSession, caller: bytes, key: str, status: int, media_type: str, body: bytes) -> None:
    """Keep the answer."""
    mine = (idempotency.c.caller == caller) & (idempotency.c.key == key)
    await session.execute(update(idempotency).where(mine).values(status=status, media_type=media_type, body=body))


async def forget(session: WriteSession, caller: bytes, key: str) -> None:
    """The request failed: it may be sent again."""
    await session.execute(delete(idempotency).where(idempotency.c.caller == caller, idempotency.c.key == key))


async def purge(session: WriteSession) -> int:
    """Delete what is older than a day; returns how many."""
    return (await session.execute(delete(idempotency).where(idempotency.c.created_at < func.now() - KEPT))).rowcount
