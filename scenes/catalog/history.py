"""The descriptions that an image has had; any of them can be made the current one again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from scenes.answer import Source
from scenes.catalog import images as image_views
from scenes.catalog.collections import lock, next_generation
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.images import ImageView
from scenes.catalog.tables import descriptions, images
from scenes.description import SceneDescription
from scenes.errors import NotFound, Outdated


@dataclass(frozen=True, slots=True)
class Version:
    """One description of an image and who wrote it; `current` is the one that searches see."""

    description_id: int
    source: Source
    recipe: str | None
    description: SceneDescription
    created_at: datetime
    current: bool


async def versions(session: ReadSession, collection_id: int, image_id: str) -> list[Version]:
    """All descriptions of an image, the newest first. Raises `NotFound` (`image_unknown`)."""
    view = await image_views.get(session, collection_id, image_id)
    found = select(descriptions).where(descriptions.c.image == view.row).order_by(descriptions.c.id.desc())
    return [
        Version(
            description_id=row.id,
            source=row.source,
            recipe=row.recipe,
            description=SceneDescription.model_validate(row.body),
            created_at=row.created_at,
            current=row.id == view.description_id,
        )
        for row in await session.execute(found)
    ]


async def edit(
    session: WriteSession, collection_id: int, image_id: str, description: SceneDescription, expected: int
) -> ImageView:
    """A person's description becomes the current one. Raises `NotFound`, `Outdated` (`description_changed`)."""
    await _expect(session, collection_id, image_id, expected)
    return await image_views.edit(session, collection_id, image_id, description)


async def undo(session: WriteSession, collection_id: int, image_id: str, expected: int) -> ImageView:
    """Make the description before the current one current again; nothing is removed from the history.

    Raises `NotFound` (`image_unknown`, `description_first`), `Outdated` (`description_changed`).
    """
    view = await _expect(session, collection_id, image_id, expected)
    earlier = (
        select(descriptions.c.id)
        .where(descriptions.c.image == view.row, descriptions.c.id < view.description_id)
        .order_by(descriptions.c.id.desc())
        .limit(1)
    )
    before = (await session.execute(earlier)).scalar_one_or_none()
    if before is None:
        raise NotFound("description_first", "this is the image's first description: there is none to go back to")
    generation = await next_generation(session, collection_id)
    changed = update(images).where(images.c.id == view.row).values(description_id=before, generation=generation)
    await session.execute(changed)
    return await image_views.get(session, collection_id, image_id)


async def _expect(session: WriteSession, collection_id: int, image_id: str, expected: int) -> ImageView:
    await lock(session, collection_id)
    view = await image_views.get(session, collection_id, image_id)
    if view.description_id != expected:
        raise Outdated(
            "description_changed",
            "the description changed since you read it",
            fix="read it again and send the ETag you get as If-Match",
        )
    return view
