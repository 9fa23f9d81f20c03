"""API keys over REST: made and shown once, listed without their secret, revoked, rotated."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.http.access import CallerDependency
from app.http.parameters import KeyIdPath
from app.http.problems import usual_responses
from app.http.security import may
from app.http.transaction import writing
from app.keys.service import Keys
from app.state import state_of
from scenes.catalog import audit, keys
from scenes.catalog.keys import KeyRow, Scope
from scenes.collection import CollectionName
from scenes.description import Text

router = APIRouter(prefix="/v1/keys", tags=["keys"])
_PROBLEMS = usual_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class KeyOrder(BaseModel):
    """What a new key may do."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"collection": "photos", "scope": "search"}]}
    )

    collection: CollectionName | Literal["*"] = Field(description="A collection, or '*' for all.")
    scope: Scope
    name: Annotated[Text, StringConstraints(max_length=200)] = ""
    expires_in_days: Annotated[int, Field(ge=1, le=3_650)] | None = None


class KeyBody(BaseModel):
    """A key without its secret."""

    key_id: str
    name: str
    collection: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(KeyBody):
    """A fresh key; `key` is shown only now."""

    key: str


class KeyList(BaseModel):
    """The keys that this key may manage, the oldest first."""

    keys: tuple[KeyBody, ...]


@router.post("", responses=_PROBLEMS, status_code=HTTPStatus.CREATED)
async def create_key(body: KeyOrder, request: Request, caller: CallerDependency) -> NewKey:
    """Make a key for a collection that this key administers."""
    caller.require("admin", body.collection)
    expiry = timedelta(days=body.expires_in_days) if body.expires_in_days else None
    key, row = await _keys(request).create(
        body.collection, body.scope, name=body.name, expires_in=expiry, by=caller.key.key_id
    )
    return NewKey(key=key, **_facts(row))


@router.get("", responses=_PROBLEMS)
async def list_keys(request: Request, caller: CallerDependency) -> KeyList:
    """The keys of the collections that this key administers."""
    async with state_of(request).catalog.reading() as session:
        rows = [row for row in await keys.all_(session) if may(caller.key, "admin", row.collection)]
    return KeyList(keys=tuple(KeyBody(**_facts(row)) for row in rows))


@router.delete("/{key_id}", responses=_PROBLEMS, status_code=HTTPStatus.NO_CONTENT)
async def revoke_key(key_id: KeyIdPath, request: Request, caller: CallerDependency) -> None:
    """Revoke a key; every server refuses it within a second."""
    state = state_of(request)
    async with state.catalog.reading() as read:
        of = (await keys.get(read, key_id)).collection
    caller.require("admin", of)
    async with writing(state.catalog) as session:
        await keys.revoke(session, key_id)
        await audit.add(session, caller.key.key_id, "key.revoke", of, key_id)


@router.post("/{key_id}/rotate", responses=_PROBLEMS, status_code=HTTPStatus.CREATED)
async def rotate_key(key_id: KeyIdPath, request: Request, caller: CallerDependency) -> NewKey:
    """Make a key that may do the same; the old one goes on for a day, so that nothing stops."""
    state = state_of(request)
    async with state.catalog.reading() as session:
        old = await keys.get(session, key_id)
    caller.require("admin", old.collection)
    key, row = await _keys(request).rotate(old, by=caller.key.key_id)
    return NewKey(key=key, **_facts(row))


def _keys(request: Request) -> Keys:
    state = state_of(request)
    return Keys(state.catalog, state.secret)


def _facts(row: KeyRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in KeyBody.model_fields}
