"""A collection's content as plain rows, out of the catalog and into it again, a bounded number of images at a time.

Numbers (`number`, `image`, `description`, `current`) hold within one copy only: where rows are taken in, they get
numbers of their own, in the same order, so that equal scores keep their order and history keeps its sequence.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    LargeBinary,
    Text,
    Uuid,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog import erasures
from scenes.catalog.bulk import given, is_one_of
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import caption_recipes, collections, descriptions, embeddings, image_uris, images, outcomes

Row = dict[str, Any]
FIRST_GENERATION = 1
_TIME = DateTime(timezone=True)
_OUTCOME = ("image_id", "recipe", "kind", "reason", "detail", "uri", "at")


@dataclass(frozen=True, slots=True)
class Page:
    """Some images with all of their descriptions and the vectors of one encoder."""

    images: list[Row]
    descriptions: list[Row]
    embeddings: list[Row]


async def moment(session: ReadSession) -> datetime:
    """When this session's transaction began, by the database's clock."""
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    return now


async def caption_recipes_of(session: ReadSession, collection_id: int) -> dict[str, dict[str, Any]]:
    """Every caption recipe that a collection's descriptions and outcomes name, by fingerprint."""
    described = select(descriptions.c.recipe).join(images, images.c.id == descriptions.c.image)
    named = described.where(images.c.collection_id == collection_id).union(
        select(outcomes.c.recipe).where(outcomes.c.collection_id == collection_id)
    )
    found = select(caption_recipes).where(caption_recipes.c.fingerprint.in_(named))
    return {row.fingerprint: row.body for row in await session.execute(found)}


async def page(session: ReadSession, row: CollectionRow, encoder: str | None, after: int, limit: int) -> Page:
    """Images in row order, those behind row `after`; an image's times of erasure count over its whole origin."""
    uris = (
        select(
            func.json_agg(
                aggregate_order_by(
                    func.json_build_array(image_uris.c.uri, image_uris.c.created_at),
                    image_uris.c.created_at,
                    image_uris.c.uri,
                )
            )
        )
        .where(image_uris.c.image == images.c.id)
        .scalar_subquery()
    )
    found = select(images, uris.label("uris")).where(images.c.collection_id == row.id, images.c.id > after)
    rows = (await session.execute(found.order_by(images.c.id).limit(limit))).all()
    erased = await erasures.counts(session, row.origin, [one.image_id for one in rows])
    told = [_image(one, erased.get(one.image_id, 0)) for one in rows]
    texts = await _descriptions(session, [one.id for one in rows])
    return Page(told, texts, await _embeddings(session, [one["number"] for one in texts], encoder))


async def outcomes_page(session: ReadSession, collection_id: int, after: tuple[str, str], limit: int) -> list[Row]:
    """How captioning ended for images without a description, behind (image id, recipe)."""
    key = func.row(outcomes.c.image_id, outcomes.c.recipe)
    found = select(outcomes).where(outcomes.c.collection_id == collection_id, key > func.row(*after))
    rows = await session.execute(found.order_by(outcomes.c.image_id, outcomes.c.recipe).limit(limit))
    return [{name: getattr(row, name) for name in _OUTCOME} | {"at": row.at.isoformat()} for row in rows]


async def adopt(session: WriteSession, collection_id: int, origin: str) -> None:
    """Let a new collection share the origin of the one it is a copy of, and stand at the first generation."""
    changed = update(collections).where(collections.c.id == collection_id)
    await session.execute(changed.values(origin=cast(origin, Uuid), generation=FIRST_GENERATION))


async def add_caption_recipes(session: WriteSession, recipes: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [{"fingerprint": name, "body": dict(body)} for name, body in recipes.items()]
    if rows:
        await session.execute(upsert(caption_recipes).values(rows).on_conflict_do_nothing())


async def add_page(session: WriteSession, collection_id: int, taken: Page, encoder: str | None) -> None:
    """Take in some images; those that a page names and that are not among its images are left out."""
    numbers = await _add_images(session, collection_id, taken.images)
    await _add_uris(session, numbers, taken.images)
    texts = await _add_descriptions(session, numbers, [one for one in taken.descriptions if one["image"] in numbers])
    current = [{"id": numbers[one["number"]], "current": texts.get(one["current"])} for one in taken.images]
    sent = given(current, column("id", BigInteger), column("current", BigInteger))
    await session.execute(update(images).where(images.c.id == sent.c.id).values(description_id=sent.c.current))
    if encoder is not None:
        await _add_embeddings(session, encoder, texts, taken.embeddings)


async def remove(session: WriteSession, collection_id: int, image_ids: Sequence[str]) -> int:
    """Remove images that this transaction took in: nobody has seen them, so nothing is left to tell."""
    mine = (images.c.collection_id == collection_id) & is_one_of(images.c.image_id, image_ids)
    return len((await session.execute(delete(images).where(mine).returning(images.c.id))).all())


async def add_outcomes(session: WriteSession, collection_id: int, rows: Sequence[Row]) -> None:
    texts = [column(name, Text) for name in _OUTCOME[:-1]]
    sent = given(rows, *texts, column("at", _TIME))
    chosen = select(literal(collection_id, BigInteger), *sent.c)
    await session.execute(insert(outcomes).from_select(["collection_id", *_OUTCOME], chosen))


def _image(row: Any, erased: int) -> Row:
    return {
        "number": row.id,
        "image_id": row.image_id,
        "id_from": row.id_from,
        "external_id": row.external_id,
        "metadata": _json(row.metadata),
        "uris": _json(row.uris or []),
        "current": row.description_id,
        "erasures": erased,
        "created_at": row.created_at.isoformat(),
    }


async def _descriptions(session: ReadSession, rows: Sequence[int]) -> list[Row]:
    found = select(descriptions).where(is_one_of(descriptions.c.image, rows)).order_by(descriptions.c.id)
    return [
        {
            "number": row.id,
            "image": row.image,
            "source": row.source,
            "variant": row.variant,
            "recipe": row.recipe,
            **{name: _json(getattr(row, name)) for name in ("body", "support", "usage", "notes")},
            "created_at": row.created_at.isoformat(),
        }
        for row in await session.execute(found)
    ]


async def _embeddings(session: ReadSession, rows: Sequence[int], encoder: str | None) -> list[Row]:
    mine = (embeddings.c.encoder == encoder) & is_one_of(embeddings.c.description_id, rows)
    found = await session.execute(select(embeddings).where(mine).order_by(embeddings.c.description_id))
    return [
        {"description": row.description_id, "vectors": row.vectors, "words": row.words, "truncated": row.truncated}
        for row in found
    ]


async def _add_images(session: WriteSession, collection_id: int, rows: Sequence[Row]) -> dict[int, int]:
    """The new row number of each image by its old one."""
    names: dict[str, Any] = {
        "image_id": Text(),
        "id_from": Text(),
        "external_id": Text(),
        "metadata": JSONB(),
        "created_at": _TIME,
    }
    sent = given(
        [row | {"metadata": json.loads(row["metadata"])} for row in rows],
        *(column(name, kind) for name, kind in names.items()),
        column("number", BigInteger),
    )
    fixed = (literal(collection_id, BigInteger), literal(FIRST_GENERATION, BigInteger))
    chosen = select(*fixed, *(sent.c[name] for name in names)).order_by(sent.c.number)
    new = insert(images).from_select(["collection_id", "generation", *names], chosen)
    made = {row.image_id: row.id for row in await session.execute(new.returning(images.c.id, images.c.image_id))}
    return {row["number"]: made[row["image_id"]] for row in rows}


async def _add_uris(session: WriteSession, numbers: Mapping[int, int], rows: Sequence[Row]) -> None:
    values = [
        {"image": numbers[row["number"]], "uri": uri, "created_at": at}
        for row in rows
        for uri, at in json.loads(row["uris"])
    ]
    sent = given(values, column("image", BigInteger), column("uri", Text), column("created_at", _TIME))
    await session.execute(insert(image_uris).from_select(["image", "uri", "created_at"], select(*sent.c)))


async def _add_descriptions(session: WriteSession, numbers: Mapping[int, int], rows: Sequence[Row]) -> dict[int, int]:
    """The new number of each description by its old one."""
    texts = {name: Text() for name in ("source", "variant", "recipe")}
    bodies = {name: JSONB() for name in ("body", "support", "usage", "notes")}
    names: dict[str, Any] = {"image": BigInteger(), **texts, **bodies, "created_at": _TIME}
    values = [row | {"image": numbers[row["image"]]} | {name: json.loads(row[name]) for name in bodies} for row in rows]
    sent = given(values, *(column(name, kind) for name, kind in names.items()), column("number", BigInteger))
    chosen = select(*(sent.c[name] for name in names)).order_by(sent.c.number)
    new = insert(descriptions).from_select(list(names), chosen)
    found = await session.execute(new.returning(descriptions.c.id, descriptions.c.image, descriptions.c.variant))
    made = {(row.image, row.variant): row.id for row in found}
    return {row["number"]: made[numbers[row["image"]], row["variant"]] for row in rows}


async def _add_embeddings(session: WriteSession, encoder: str, texts: Mapping[int, int], rows: Sequence[Row]) -> None:
    mine = [row for row in rows if row["description"] in texts]
    arrays = (
        cast([texts[row["description"]] for row in mine], ARRAY(BigInteger)),
        cast([row["vectors"] for row in mine], ARRAY(LargeBinary)),
        cast([row["words"] for row in mine], ARRAY(LargeBinary)),
        cast([row["truncated"] for row in mine], ARRAY(Boolean)),
    )
    names = ("description_id", "vectors", "words", "truncated")
    sent = func.unnest(*arrays).table_valued(*names, name="sent").render_derived()
    chosen = select(*sent.c, literal(encoder))
    await session.execute(insert(embeddings).from_select([*names, "encoder"], chosen))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
