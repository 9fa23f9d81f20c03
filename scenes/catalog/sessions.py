"""Sessions that were ended before they expired: a cookie is good without being stored, until its session is here."""

from datetime import datetime

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import ended_sessions


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
