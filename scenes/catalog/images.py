"""Images with their current description."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Row, Select, Text, cast, column, func, insert, literal, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by

from scenes.answer import RecipeName, Source
from scenes.catalog import erasures
from scenes.catalog.bulk import given, is_one_of
from scenes.catalog.collections import lock, next_generation
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.publishing import Publication, publish
from scenes.catalog.tables import caption_recipes, descriptions, image_uris, images, outcomes, tombstones
from scenes.description import SceneDescription
from scenes.errors import NotFound
from scenes.identity import HEX_SHA256

_ID = re.compile(HEX_SHA256)


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image as a search shows it; `row` is its number in the catalog, the base of its vector ids."""

    row: int
    image_id: str
    external_id: str | None
    uris: tuple[str, ...]
    metadata: dict[str, Any]
    description: SceneDescription
    description_id: int
    source: Source
    recipe: RecipeName | None
    generation: int


async def get(session: ReadSession, collection_id: int, image_id: str) -> ImageView:
    """Raises `NotFound` (`image_unknown`); of what can't be an id Postgres is not asked."""
    found = _views(collection_id).where(images.c.image_id == image_id)
    row = (await session.execute(found)).one_or_none() if _ID.fullmatch(image_id) else None
    if row is None:
        raise NotFound("image_unknown", f"there is no image {image_id!r} in this collection")
    return _as_view(row)


async def by_rows(session: ReadSession, collection_id: int, rows: Sequence[int]) -> dict[int, ImageView]:
    """The images of these row numbers that are still there."""
    found = await session.execute(_views(collection_id).where(is_one_of(images.c.id, rows)))
    return {row.row: _as_view(row) for row in found}


async def page(session: ReadSession, collection_id: int, *, after: int = 0, limit: int = 100) -> list[ImageView]:
    """Images in row order, those behind row `after`."""
    found = _views(collection_id).where(images.c.id > after).order_by(images.c.id).limit(limit)
    return [_as_view(row) for row in await session.execute(found)]


async def delete(session: WriteSession, collection_id: int, image_ids: Sequence[str]) -> int:
    """Remove images with everything of theirs, leaving tombstones and erasures; returns how many there were."""
    generation = await lock(session, collection_id) + 1
    forgotten = await _forget_outcomes(session, collection_id, image_ids)
    removed = await _remove(session, collection_id, image_ids)
    await erasures.record(session, collection_id, sorted(forgotten | {row["image_id"] for row in removed}))
    if not removed:
        return 0
    sent = given(removed, column("id", BigInteger), column("image_id", Text))
    stones = select(literal(collection_id, BigInteger), *sent.c, literal(generation, BigInteger))
    columns = ["collection_id", "image_row", "image_id", "generation"]
    await session.execute(insert(tombstones).from_select(columns, stones))
    await next_generation(session, collection_id)
    return len(removed)


async def _remove(session: WriteSession, collection_id: int, image_ids: Sequence[str]) -> list[dict[str, Any]]:
    mine = sql_delete(images).where(images.c.collection_id == collection_id, is_one_of(images.c.image_id, image_ids))
    gone = await session.execute(mine.returning(images.c.id, images.c.image_id))
    return [{"id": row.id, "image_id": row.image_id} for row in gone]


async def _forget_outcomes(session: WriteSession, collection_id: int, image_ids: Sequence[str]) -> set[str]:
    mine = (outcomes.c.collection_id == collection_id) & is_one_of(outcomes.c.image_id, image_ids)
    gone = await session.execute(sql_delete(outcomes).where(mine).returning(outcomes.c.image_id))
    return {image_id for (image_id,) in gone}


async def set_metadata(session: WriteSession, collection_id: int, image_id: str, patch: dict[str, Any]) -> ImageView:
    """Merge `patch` into an image's metadata; a null removes its key. Raises `NotFound`."""
    removed = [key for key, value in patch.items() if value is None]
    kept = {key: value for key, value in patch.items() if value is not None}
    merged = images.c.metadata.op("||")(cast(kept, JSONB)).op("-")(cast(removed, ARRAY(Text)))
    mine = (images.c.collection_id == collection_id) & (images.c.image_id == image_id) & (images.c.metadata != merged)
    changed = await session.execute(update(images).where(mine).values(metadata=merged))
    if changed.rowcount:
        await next_generation(session, collection_id)
    return await get(session, collection_id, image_id)


async def edit(session: WriteSession, collection_id: int, image_id: str, description: SceneDescription) -> ImageView:
    """A person's description becomes the current one and outranks every machine's. Raises `NotFound`."""
    before = await get(session, collection_id, image_id)
    change = Publication(
        image_id=image_id,
        id_from="bytes",
        description=description,
        source="person",
        variant=f"person:{uuid.uuid4()}",
        external_id=before.external_id,
    )
    await publish(session, collection_id, [change])
    return await get(session, collection_id, image_id)


def _views(collection_id: int) -> Select[Any]:
    uris = (
        select(func.array_agg(aggregate_order_by(image_uris.c.uri, image_uris.c.created_at, image_uris.c.uri)))
        .where(image_uris.c.image == images.c.id)
        .scalar_subquery()
    )
    return (
        select(
            images.c.id.label("row"),
            images.c.image_id,
            images.c.external_id,
            images.c.metadata,
            images.c.generation,
            uris.label("uris"),
            descriptions.c.id.label("description_id"),
            descriptions.c.body,
            descriptions.c.source,
            descriptions.c.recipe,
            caption_recipes.c.body.label("recipe_body"),
        )
        .join(descriptions, descriptions.c.id == images.c.description_id)
        .join(caption_recipes, caption_recipes.c.fingerprint == descriptions.c.recipe, isouter=True)
        .where(images.c.collection_id == collection_id)
    )


def _as_view(row: Row[Any]) -> ImageView:
    return ImageView(
        row=row.row,
        image_id=row.image_id,
        external_id=row.external_id,
        uris=tuple(row.uris or ()),
        metadata=row.metadata,
        description=SceneDescription.model_validate(row.body),
        description_id=row.description_id,
        source=row.source,
        recipe=_recipe_name(row.recipe, row.recipe_body),
        generation=row.generation,
    )


def _recipe_name(fingerprint: str | None, body: dict[str, Any] | None) -> RecipeName | None:
    if fingerprint is None or body is None:
        return None
    return RecipeName(fingerprint=fingerprint, engine=body["engine"], model=body["model"], prompt=body["prompt"])
