"""Collections: make, list, change, delete."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Strict

from app.http.access import CallerDependency
from app.http.parameters import CollectionPath
from app.http.problems import usual_responses
from app.http.security import may
from app.http.transaction import audited
from app.state import State, state_of
from scenes.catalog import collections
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import ReadSession
from scenes.collection import Collection, Expiry, SearchLog
from scenes.recipe import EngineName

router = APIRouter(prefix="/v1/collections", tags=["collections"])
_PROBLEMS = usual_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class CollectionState(BaseModel):
    """A collection's settings and how much is in it; `pending` of its images are stored but not searchable yet."""

    settings: Collection
    images: int
    pending: int
    refused: int
    failed: int
    generation: int
    release: str | None


class CollectionList(BaseModel):
    """The collections that a key may search, by name."""

    collections: tuple[CollectionState, ...]


class CollectionChange(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"search_log": "off"}]})

    search_log: SearchLog | None = None
    search_log_expiry: Expiry | None = None
    engine: EngineName | None = None
    third_party_consent: Annotated[bool, Strict()] | None = None


@router.get("", responses=_PROBLEMS)
async def list_collections(request: Request, caller: CallerDependency) -> CollectionList:
    """The collections that this key may search."""
    state = state_of(request)
    async with state.catalog.reading() as session:
        rows = [row for row in await collections.all_(session) if may(caller.key, "search", row.settings.name)]
        return CollectionList(collections=tuple([await _body(state, session, row) for row in rows]))


@router.post("", responses=_PROBLEMS, status_code=HTTPStatus.CREATED)
async def create_collection(
    body: Collection, request: Request, response: Response, caller: CallerDependency
) -> CollectionState:
    """Make an empty collection. Its encoder and its engine's model must be among those that the operator allowed."""
    caller.require("admin", body.name)
    state = state_of(request)
    state.models.check_encoder(body.encoder)
    state.models.check_engine(body)
    response.headers["Location"] = f"/v1/collections/{body.name}"
    async with audited(state, caller, "collection.create", body.name) as session:
        return await _body(state, session, await collections.create(session, body))


@router.get("/{collection}", responses=_PROBLEMS)
async def get_collection(collection: CollectionPath, request: Request, caller: CallerDependency) -> CollectionState:
    """One collection."""
    caller.require("search", collection)
    state = state_of(request)
    async with state.catalog.reading() as session:
        return await _body(state, session, await collections.get(session, collection))


@router.patch("/{collection}", responses=_PROBLEMS)
async def change_collection(
    collection: CollectionPath, body: CollectionChange, request: Request, caller: CallerDependency
) -> CollectionState:
    """Change settings of a collection."""
    caller.require("admin", collection)
    state = state_of(request)
    given = {name: getattr(body, name) for name in body.model_fields_set if getattr(body, name) is not None}
    async with audited(state, caller, "collection.change", collection) as session:
        before = await collections.get(session, collection)
        after = before.settings.model_copy(update=given)
        if "engine" in given:
            state.models.check_engine(after)
        row = await collections.update(session, after)
        changed = await _body(state, session, row)
    state.service.collections.forget(collection)
    return changed


@router.delete("/{collection}", responses=_PROBLEMS, status_code=HTTPStatus.NO_CONTENT)
async def delete_collection(collection: CollectionPath, request: Request, caller: CallerDependency) -> None:
    """Delete a collection with everything in it, and the keys to it."""
    caller.require("admin", collection)
    state = state_of(request)
    async with audited(state, caller, "collection.delete", collection) as session:
        await collections.delete(session, collection)
    state.service.collections.forget(collection)


async def _body(state: State, session: ReadSession, row: CollectionRow) -> CollectionState:
    counts = await collections.counts(session, row.id)
    pending = await state.embedding.pending(session, row)
    facts: dict[str, Any] = {
        "images": counts.images,
        "pending": pending,
        "refused": counts.refused,
        "failed": counts.failed,
    }
    release = str(row.active_release) if row.active_release else None
    return CollectionState(settings=row.settings, generation=row.generation, release=release, **facts)
