"""Reading images: their descriptions and where they came from; pixels are not kept."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel

from app.access import CallerDependency
from app.problems import responses
from app.state import state_of
from scenes.answer import RecipeName, Source
from scenes.catalog import collections, images
from scenes.catalog.images import ImageView
from scenes.description import SceneDescription
from scenes.identity import HEX_SHA256

router = APIRouter(prefix="/v1/collections/{collection}/images", tags=["images"])
_PROBLEMS = responses(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
)
ImageIdPath = Annotated[str, Path(pattern=HEX_SHA256, description="Hex SHA-256 that names the image.")]
After = Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1_000)]


class ImageBody(BaseModel):
    """An image in words."""

    image_id: str
    external_id: str | None
    uris: tuple[str, ...]
    metadata: dict[str, Any]
    description: SceneDescription
    source: Source
    recipe: RecipeName | None


class ImagePage(BaseModel):
    """Some images in a fixed order; `next` is null on the last page."""

    images: tuple[ImageBody, ...]
    next: int | None


@router.get("", responses=_PROBLEMS)
async def list_images(
    collection: str, request: Request, caller: CallerDependency, after: After = 0, limit: Limit = 100
) -> ImagePage:
    """The images of a collection, page by page."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        found = await images.page(session, row.id, after=after, limit=limit)
    following = found[-1].row if len(found) == limit else None
    return ImagePage(images=tuple(_body(view) for view in found), next=following)


@router.get("/{image_id}", responses=_PROBLEMS)
async def get_image(collection: str, image_id: ImageIdPath, request: Request, caller: CallerDependency) -> ImageBody:
    """One image's description."""
    caller.require("search", collection)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        return _body(await images.get(session, row.id, image_id))


def _body(view: ImageView) -> ImageBody:
    return ImageBody(
        image_id=view.image_id,
        external_id=view.external_id,
        uris=view.uris,
        metadata=view.metadata,
        description=view.description,
        source=view.source,
        recipe=view.recipe,
    )
