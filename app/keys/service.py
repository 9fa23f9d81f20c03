"""API keys: made once, shown once, checked by their HMAC."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.http.security import Secret, new_key
from scenes.catalog import audit, collections, keys
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow, Scope
from scenes.description import storable
from scenes.errors import BadInput, Unauthenticated

_PURPOSE = "api-key"
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
