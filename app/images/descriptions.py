"""Descriptions: put one, put many, edit by hand, undo, and the history of all of it."""

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.http.access import CallerDependency
from app.http.parameters import CollectionPath, ImageIdPath, JsonObject
from app.http.problems import responses
from app.http.transaction import audited
from app.images import bulk
from app.images.endpoints import PROBLEMS
from app.images.schemas import BulkResult, History, ImageBody, tagged, version_body
from app.state import state_of
from scenes.catalog import collections, history, images, publishing
from scenes.catalog.publishing import Publication
from scenes.description import BoundedDescription, Text
from scenes.errors import BadInput
from scenes.identity import ExternalId, fingerprint

router = APIRouter(prefix="/v1/collections/{collection}/images", tags=["descriptions"])
bulk_router = APIRouter(prefix="/v1/collections/{collection}", tags=["descriptions"])
_EDIT_PROBLEMS = PROBLEMS | responses(HTTPStatus.PRECONDITION_FAILED)
_TAG = re.compile(r'^"(\d{1,18})"$')
_NDJSON: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"description": "One JSON object a line."},
                "example": '{"id": "17", "text": "a red bus in the snow"}\n{"id": "18", "text": "a cat on a sofa"}\n',
            }
        },
    }
}
IfMatch = Annotated[str | None, Header(description="The ETag of the description that is changed.")]


class ImagePut(BaseModel):
    """A description made elsewhere, of the image whose bytes have the SHA-256 in the path."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"description": {"summary": "A cat."}}]})

    description: BoundedDescription
    external_id: ExternalId | None = None
    uri: Annotated[Text, StringConstraints(min_length=1, max_length=4_000)] | None = None
    metadata: JsonObject = Field(default_factory=dict)


@router.put("/{image_id}", responses=PROBLEMS)
async def put_image(
    collection: CollectionPath,
    image_id: ImageIdPath,
    body: ImagePut,
    request: Request,
    response: Response,
    caller: CallerDependency,
) -> ImageBody:
    """Store a description of an image. Sent again, it changes nothing; a person's edit stays the current one."""
    caller.require("ingest", collection)
    sent = Publication(
        image_id=image_id,
        id_from="sha256",
        description=body.description,
        source="import",
        variant=f"import:{fingerprint(body.description)}",
        external_id=body.external_id,
        uris=(body.uri,) if body.uri else (),
        metadata=body.metadata,
    )
    state = state_of(request)
    async with audited(state, caller, "image.put", collection, image_id) as session:
        row = await collections.get(session, collection)
        await publishing.publish(session, row.id, [sent])
        view = await images.get(session, row.id, image_id)
    state.service.collections.forget(collection)
    return tagged(response, collection, view)


@bulk_router.post("/bulk", responses=PROBLEMS, openapi_extra=_NDJSON)
async def bulk_images(collection: CollectionPath, request: Request, caller: CallerDependency) -> BulkResult:
    """Store many descriptions: `{"id", "text"}` or `{"id", "description"}` a line, up to 10,000 lines.

    A line may add `sha256`, `uri` and `metadata`. A line that can't be used is told; the others are stored. Sent
    again, it changes nothing.
    """
    caller.require("ingest", collection)
    state = state_of(request)
    async with state.catalog.reading() as session:
        row = await collections.get(session, collection)
    result = await bulk.take(lambda: audited(state, caller, "image.bulk", collection), row.id, request.stream())
    state.service.collections.forget(collection)
    return result


@router.get("/{image_id}/history", responses=PROBLEMS)
async def get_history(
    collection: CollectionPath, image_id: ImageIdPath, request: Request, caller: CallerDependency
) -> History:
    """Every description that the image has had, the newest first."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        found = await history.versions(session, row.id, image_id)
    return History(versions=tuple(version_body(version) for version in found))


@router.put("/{image_id}/description", responses=_EDIT_PROBLEMS)
async def edit_description(
    collection: CollectionPath,
    image_id: ImageIdPath,
    body: BoundedDescription,
    request: Request,
    response: Response,
    caller: CallerDependency,
    if_match: IfMatch = None,
) -> ImageBody:
    """A person's description: it outranks every machine's and survives captioning anew. Needs If-Match."""
    caller.require("ingest", collection)
    expected = _expected(if_match)
    state = state_of(request)
    async with audited(state, caller, "image.edit", collection, image_id) as session:
        row = await collections.get(session, collection)
        view = await history.edit(session, row.id, image_id, body, expected)
    state.service.collections.forget(collection)
    return tagged(response, collection, view)


@router.post("/{image_id}/description/undo", responses=_EDIT_PROBLEMS)
async def undo_description(
    collection: CollectionPath,
    image_id: ImageIdPath,
    request: Request,
    response: Response,
    caller: CallerDependency,
    if_match: IfMatch = None,
) -> ImageBody:
    """Go back to the description before the current one. Needs If-Match."""
    caller.require("ingest", collection)
    expected = _expected(if_match)
    state = state_of(request)
    async with audited(state, caller, "image.undo", collection, image_id) as session:
        row = await collections.get(session, collection)
        view = await history.undo(session, row.id, image_id, expected)
    state.service.collections.forget(collection)
    return tagged(response, collection, view)


def _expected(if_match: str | None) -> int:
    if if_match is None:
        raise BadInput(
            "if_match_missing", "an edit must say which description it changes", fix="GET it, send its ETag as If-Match"
        )
    found = _TAG.match(if_match)
    if found is None:
        raise BadInput("if_match_invalid", "If-Match is no ETag of a description", fix='it looks like "17"')
    return int(found[1])
