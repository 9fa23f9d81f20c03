"""One-time login tokens: only their HMAC is stored, and spending one removes it."""

from datetime import datetime

from sqlalchemy import delete, func, insert

from scenes.catalog.connection import WriteSession
from scenes.catalog.tables import login_tokens


async def add(session: WriteSession, hmac: bytes, expires_at: datetime) -> None:
    await session.execute(delete(login_tokens).where(login_tokens.c.expires_at < func.now()))
    await session.execute(insert(login_tokens).values(hmac=hmac, expires_at=expires_at))


async def spend(session: WriteSession, hmac: bytes) -> bool:
    """True for a known token that had not expired; it can't be spent again."""
    spent = delete(login_tokens).where(login_tokens.c.hmac == hmac).returning(login_tokens.c.expires_at > func.now())
    return bool((await session.execute(spent)).scalar_one_or_none())
