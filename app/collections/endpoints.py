"""Reading collections."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.access import CallerDependency
from app.problems import responses
from app.security import may
from app.state import state_of
from scenes.catalog import collections
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import ReadSession
from scenes.collection import Collection

router = APIRouter(prefix="/v1/collections", tags=["collections"])
_PROBLEMS = responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class CollectionState(BaseModel):
    """A collection's settings and how much is in it."""

    settings: Collection
    images: int
    refused: int
    failed: int
    generation: int
    release: str | None


class CollectionList(BaseModel):
    """The collections that a key may search, by name."""

    collections: tuple[CollectionState, ...]


@router.get("", responses=responses(HTTPStatus.UNAUTHORIZED))
async def list_collections(request: Request, caller: CallerDependency) -> CollectionList:
    """The collections that this key may search."""
    async with state_of(request).catalog.reading() as session:
        rows = [row for row in await collections.all_(session) if may(caller.key, "search", row.settings.name)]
        return CollectionList(collections=tuple([await _state(session, row) for row in rows]))


@router.get("/{collection}", responses=_PROBLEMS)
async def get_collection(collection: str, request: Request, caller: CallerDependency) -> CollectionState:
    """One collection."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        return await _state(session, await collections.get(session, collection))


async def _state(session: ReadSession, row: CollectionRow) -> CollectionState:
    counts = await collections.counts(session, row.id)
    facts: dict[str, Any] = {"images": counts.images, "refused": counts.refused, "failed": counts.failed}
    release = str(row.active_release) if row.active_release else None
    return CollectionState(settings=row.settings, generation=row.generation, release=release, **facts)
