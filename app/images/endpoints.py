"""Images: their descriptions, metadata and where they came from; pixels are not kept."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.http.access import CallerDependency
from app.http.parameters import After, CollectionPath, ImageIdPath, Limit
from app.http.problems import usual_responses
from app.http.transaction import audited
from app.images.schemas import ImageBody, ImagePage, MetadataPatch, image_body, tagged
from app.state import state_of
from scenes.catalog import collections, images
from scenes.errors import NotFound

router = APIRouter(prefix="/v1/collections/{collection}/images", tags=["images"])
PROBLEMS = usual_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get("", responses=PROBLEMS)
async def list_images(
    collection: CollectionPath, request: Request, caller: CallerDependency, after: After = 0, limit: Limit = 100
) -> ImagePage:
    """The images of a collection, page by page."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        found = await images.page(session, row.id, after=after, limit=limit)
    following = found[-1].row if len(found) == limit else None
    return ImagePage(images=tuple(image_body(view) for view in found), next=following)


@router.get("/{image_id}", responses=PROBLEMS)
async def get_image(
    collection: CollectionPath, image_id: ImageIdPath, request: Request, response: Response, caller: CallerDependency
) -> ImageBody:
    """One image's description; its ETag is what an edit sends as If-Match."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        return tagged(response, collection, await images.get(session, row.id, image_id))


@router.patch("/{image_id}", responses=PROBLEMS)
async def patch_metadata(
    collection: CollectionPath,
    image_id: ImageIdPath,
    body: MetadataPatch,
    request: Request,
    response: Response,
    caller: CallerDependency,
) -> ImageBody:
    """Change an image's metadata."""
    caller.require("ingest", collection)
    state = state_of(request)
    async with audited(state, caller, "image.metadata", collection, image_id) as session:
        row = await collections.get(session, collection)
        view = await images.set_metadata(session, row.id, image_id, body.metadata)
    state.service.collections.forget(collection)
    return tagged(response, collection, view)


@router.delete("/{image_id}", responses=PROBLEMS, status_code=HTTPStatus.NO_CONTENT)
async def delete_image(
    collection: CollectionPath, image_id: ImageIdPath, request: Request, caller: CallerDependency
) -> None:
    """Remove an image with all its descriptions and vectors; no search finds it from now on."""
    caller.require("ingest", collection)
    state = state_of(request)
    async with audited(state, caller, "image.delete", collection, image_id) as session:
        row = await collections.get(session, collection)
        if not await images.delete(session, row.id, [image_id]):
            raise NotFound("image_unknown", f"there is no image {image_id} in this collection")
    state.service.collections.forget(collection)
