"""API keys: made once, shown once, checked by their HMAC; good ones are remembered for a second."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cachetools import LRUCache

from app.http.security import Secret, new_key
from scenes.catalog import audit, collections, keys
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow, Scope
from scenes.description import storable
from scenes.errors import BadInput, Overloaded, Unauthenticated

_PURPOSE = "api-key"
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 1_000
_STRANGERS_AT_ONCE = 3
_MOST_ASKED = 500
_FIX = "send Authorization: Bearer KEY; wordsight key create makes one"


@dataclass(frozen=True, slots=True)
class Keys:
    """Makes and checks keys."""

    catalog: Catalog
    secret: Secret

    async def create(
        self,
        collection: str,
        scope: Scope,
        *,
        name: str = "",
        expires_in: timedelta | None = None,
        by: str | None = None,
    ) -> tuple[str, KeyRow]:
        """A new key and what is kept of it; `by` names the key that asked.

        Raises `NotFound` (`collection_unknown`), `BadInput` (`key_name_invalid`).
        """
        _check_name(name)
        key, now = new_key(), datetime.now(UTC)
        row = KeyRow(
            key_id=f"key_{secrets.token_hex(8)}",
            name=name,
            collection=collection,
            scope=scope,
            created_at=now,
            expires_at=now + expires_in if expires_in else None,
            revoked_at=None,
        )
        async with self.catalog.writing() as session:
            if collection != EVERY_COLLECTION:
                await collections.get(session, collection)
            await keys.add(session, row, self.secret.digest(_PURPOSE, key))
            if by is not None:
                await audit.add(session, by, "key.create", collection, row.key_id)
        return key, row

    async def rotate(
        self, old: KeyRow, grace: timedelta = timedelta(days=1), by: str | None = None
    ) -> tuple[str, KeyRow]:
        """A new key that may do what the old one may; the old one ends after `grace`. Raises `Unauthenticated`."""
        still_good(old)
        life = old.expires_at - old.created_at if old.expires_at else None
        key, row = await self.create(old.collection, old.scope, name=old.name, expires_in=life, by=by)
        async with self.catalog.writing() as session:
            await keys.expire(session, old.key_id, datetime.now(UTC) + grace)
            if by is not None:
                await audit.add(session, by, "key.expire", old.collection, old.key_id)
        return key, row

    async def check(self, key: str) -> KeyRow:
        """What a key may do. Raises `Unauthenticated`: `key_unknown`, `key_revoked`, `key_expired`."""
        async with self.catalog.reading() as session:
            row = await keys.by_hmac(session, self.secret.digest(_PURPOSE, key))
        if row is None:
            raise Unauthenticated("key_unknown", "this API key is not known", fix=_FIX)
        return still_good(row)


class KeyCache:
    """Good keys, remembered for a second: a revoked key is refused within that time. Requests ask once together.

    Keys that were never seen are asked for a few at a time, so that a flood of invented ones leaves connections to
    Postgres to everyone else.
    """

    def __init__(self, known: Keys) -> None:
        self._keys = known
        self._seen: LRUCache[str, tuple[float, KeyRow]] = LRUCache(_CACHE_SIZE)
        self._asking: dict[str, asyncio.Future[KeyRow]] = {}
        self._strangers = asyncio.Semaphore(_STRANGERS_AT_ONCE)

    def has_seen(self, key: str) -> bool:
        """Was this key a good one lately?"""
        return key in self._seen

    async def check(self, key: str) -> KeyRow:
        """What a key may do. Raises `Unauthenticated`, `Overloaded` (`too_many_unknown_keys`), `EnvironmentMissing`."""
        until, row = self._seen.get(key, (0.0, None))
        if row is not None and until > time.monotonic():
            return still_good(row)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key) if row else self._ask_stranger(key))
            asking.add_done_callback(lambda _done: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask_stranger(self, key: str) -> KeyRow:
        if len(self._asking) > _MOST_ASKED:
            raise Overloaded("too_many_unknown_keys", "too many unknown keys are being checked", retry_after_s=1.0)
        async with self._strangers:
            return await self._ask(key)

    async def _ask(self, key: str) -> KeyRow:
        row = await self._keys.check(key)
        self._seen[key] = (time.monotonic() + _CACHE_SECONDS, row)
        return row


def _check_name(name: str) -> None:
    try:
        storable(name)
    except ValueError as error:
        raise BadInput("key_name_invalid", f"name: {error}", fix="use letters that UTF-8 has") from error


def still_good(row: KeyRow) -> KeyRow:
    """The key itself. Raises `Unauthenticated`: `key_revoked`, `key_expired`."""
    if row.revoked_at is not None:
        raise Unauthenticated("key_revoked", "this API key was revoked", fix=_FIX)
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        raise Unauthenticated("key_expired", "this API key has expired", fix=_FIX)
    return row
