"""One-time login tokens, and the sessions that were ended before they expired.

Of a token only the HMAC is stored, and spending it removes it. A session's cookie is good without being stored, until
the session is in `ended_sessions`.
"""

from datetime import datetime

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import ended_sessions, login_tokens


async def add_login(session: WriteSession, hmac: bytes, expires_at: datetime) -> None:
    """Store a token's HMAC; those that have expired are deleted."""
    await session.execute(delete(login_tokens).where(login_tokens.c.expires_at < func.now()))
    await session.execute(insert(login_tokens).values(hmac=hmac, expires_at=expires_at))


async def spend_login(session: WriteSession, hmac: bytes) -> bool:
    """True for a known token that had not expired; it can't be spent again."""
    spent = delete(login_tokens).where(login_tokens.c.hmac == hmac).returning(login_tokens.c.expires_at > func.now())
    return bool((await session.execute(spent)).scalar_one_or_none())


async def end(session: WriteSession, session_id: str, expires_at: datetime) -> None:
    """End a session for every server at once; ending it again changes nothing."""
    ended = upsert(ended_sessions).values(session_id=session_id, expires_at=expires_at)
    await session.execute(ended.on_conflict_do_nothing())


async def has_ended(session: ReadSession, session_id: str) -> bool:
    """Was a session ended?"""
    found = select(exists().where(ended_sessions.c.session_id == session_id))
    return bool((await session.execute(found)).scalar_one())


async def purge(session: WriteSession) -> int:
    """Delete the sessions that have expired meanwhile; returns how many."""
    return (await session.execute(delete(ended_sessions).where(ended_sessions.c.expires_at < func.now()))).rowcount
