"""API keys: only their HMAC is stored."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Row, func, insert, select, update

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import api_keys
from scenes.errors import NotFound

Scope = Literal["search", "ingest", "admin"]
EVERY_COLLECTION = "*"
KEY_ID = r"^key_[0-9a-f]{16}$"
_ID = re.compile(KEY_ID)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is known of a key; `collection` '*' means all of them."""

    key_id: str
    name: str
    collection: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def add(session: WriteSession, key: KeyRow, hmac: bytes) -> None:
    values = {name: getattr(key, name) for name in KeyRow.__slots__}
    await session.execute(insert(api_keys).values(hmac=hmac, **values))


async def by_hmac(session: ReadSession, hmac: bytes) -> KeyRow | None:
    row = (await session.execute(select(api_keys).where(api_keys.c.hmac == hmac))).one_or_none()
    return None if row is None else _as_row(row)


async def get(session: ReadSession, key_id: str) -> KeyRow:
    """Raises `NotFound` (`key_unknown`)."""
    found = select(api_keys).where(api_keys.c.key_id == key_id)
    row = (await session.execute(found)).one_or_none() if _ID.fullmatch(key_id) else None
    if row is None:
        raise _unknown(key_id)
    return _as_row(row)


async def expire(session: WriteSession, key_id: str, at: datetime) -> None:
    """Let a key end at a time, or sooner where it does already."""
    sooner = func.least(func.coalesce(api_keys.c.expires_at, at), at)
    await session.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(expires_at=sooner))


async def all_(session: ReadSession) -> list[KeyRow]:
    """All keys, the oldest first."""
    return [_as_row(row) for row in await session.execute(select(api_keys).order_by(api_keys.c.created_at))]


async def revoke(session: WriteSession, key_id: str) -> KeyRow:
    """Raises `NotFound` (`key_unknown`). Revoking twice keeps the first time."""
    done = (
        update(api_keys)
        .where(api_keys.c.key_id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
        .returning(api_keys)
    )
    row = (await session.execute(done)).one_or_none() if _ID.fullmatch(key_id) else None
    if row is None:
        raise _unknown(key_id)
    return _as_row(row)


def _unknown(key_id: str) -> NotFound:
    return NotFound("key_unknown", f"there is no key {key_id!r}", fix="wordsight key list shows all")


def _as_row(row: Row[tuple[object, ...]]) -> KeyRow:
    return KeyRow(**{name: getattr(row, name) for name in KeyRow.__slots__})
