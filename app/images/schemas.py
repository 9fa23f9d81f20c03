"""Images as REST shows and takes them."""

from datetime import datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from app.http.parameters import JsonObject
from scenes.answer import RecipeName, Source
from scenes.catalog.history import Version
from scenes.catalog.images import ImageView
from scenes.description import SceneDescription


class ImageBody(BaseModel):
    """An image in words."""

    image_id: str
    external_id: str | None
    uris: tuple[str, ...]
    metadata: dict[str, Any]
    description: SceneDescription
    description_id: int
    source: Source
    recipe: RecipeName | None


class ImagePage(BaseModel):
    """Some images in a fixed order; `next` is null on the last page."""

    images: tuple[ImageBody, ...]
    next: int | None


class MetadataPatch(BaseModel):
    """Keys to set; a null removes its key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"metadata": {"year": 2020}}]})

    metadata: JsonObject


class VersionBody(BaseModel):
    """One description that an image has had."""

    description_id: int
    source: Source
    recipe: str | None
    description: SceneDescription
    created_at: datetime
    current: bool


class History(BaseModel):
    """All descriptions of an image, the newest first."""

    versions: tuple[VersionBody, ...]


class LineResult(BaseModel):
    """What became of one line; `message` says why it was rejected."""

    line: int
    status: str
    image_id: str | None = None
    message: str | None = None


class BulkResult(BaseModel):
    """What became of a bulk request: `stored` counts what is in Postgres now, new or not."""

    stored: int
    rejected: int
    lines: tuple[LineResult, ...]


def image_body(view: ImageView) -> ImageBody:
    return ImageBody(**{name: getattr(view, name) for name in ImageBody.model_fields})


def version_body(version: Version) -> VersionBody:
    return VersionBody(**{name: getattr(version, name) for name in VersionBody.model_fields})


def tagged(response: Response, collection: str, view: ImageView) -> ImageBody:
    """An image's body, with the ETag of its description and the path of the image on the response."""
    response.headers["ETag"] = f'"{view.description_id}"'
    response.headers["Content-Location"] = f"/v1/collections/{collection}/images/{view.image_id}"
    return image_body(view)
