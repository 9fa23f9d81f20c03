"""Publishing: descriptions enter the catalog exactly once, however often and from wherever they are sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import BigInteger, BindParameter, Text, and_, column, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.answer import Source
from scenes.catalog.bulk import given, is_one_of
from scenes.catalog.collections import lock, next_generation
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import descriptions, image_uris, images, outcomes
from scenes.description import SceneDescription
from scenes.outcome import Failed, Refused, Usage

IdFrom = Literal["bytes", "sha256", "external"]
_OUTCOME = ("image_id", "recipe", "kind", "reason", "detail", "uri")


@dataclass(frozen=True, slots=True)
class Publication:
    """One description of one image. `variant` is what makes it the same again: a recipe's fingerprint for a
    machine, a digest of the content for an import, an edit's id for a person."""

    image_id: str
    id_from: IdFrom
    description: SceneDescription
    source: Source
    variant: str
    recipe: str | None = None
    external_id: str | None = None
    uris: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    support: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishCounts:
    """`superseded_by_edit` were stored, but a person's edit stays the current description."""

    published: int = 0
    already: int = 0
    superseded_by_edit: int = 0

    def __add__(self, other: "PublishCounts") -> "PublishCounts":
        return PublishCounts(
            self.published + other.published,
            self.already + other.already,
            self.superseded_by_edit + other.superseded_by_edit,
        )


async def publish(session: WriteSession, collection_id: int, rows: Sequence[Publication]) -> PublishCounts:
    """Store descriptions and make each the current one of its image, unless a person's edit outranks it.

    Whatever an answer may show of an image (its metadata and addresses too) opens a generation when it changes, so
    that nothing that was read before is shown again.
    """
    unique = _collapsed(rows)
    generation = await lock(session, collection_id) + 1
    image_rows, merged = await _upsert_images(session, collection_id, unique, generation)
    merged |= await _add_uris(session, unique, image_rows)
    new = await _insert_descriptions(session, unique, image_rows)
    risen = await _make_current(session, new | await _earlier_imports(session, unique, image_rows), generation)
    await _forget_outcomes(session, collection_id, unique)
    if risen or new or merged:
        await next_generation(session, collection_id)
    outranked = len(new - risen)
    return PublishCounts(len(risen), len(rows) - len(risen) - outranked, outranked)


async def record_outcomes(
    session: WriteSession, collection_id: int, rows: Iterable[tuple[Refused | Failed, str | None, str]]
) -> None:
    """Remember how captioning ended for images without a description: (outcome, URI, recipe fingerprint)."""
    values = {(outcome.image_id, recipe): _outcome(outcome, uri, recipe) for outcome, uri, recipe in rows}
    if not values:
        return
    sent = given(list(values.values()), *(column(name, Text) for name in _OUTCOME))
    new = upsert(outcomes).from_select(["collection_id", *_OUTCOME], select(_number(collection_id), *sent.c))
    changed = {name: new.excluded[name] for name in ("kind", "reason", "detail", "uri", "at")}
    key = ["collection_id", "image_id", "recipe"]
    await session.execute(new.on_conflict_do_update(index_elements=key, set_=changed))


async def known_under(session: ReadSession, collection_id: int, recipe: str, image_ids: Sequence[str]) -> set[str]:
    """Which of these images are described or refused under a recipe already: nothing is left to do for them."""
    described = (
        select(images.c.image_id)
        .join(descriptions, descriptions.c.image == images.c.id)
        .where(images.c.collection_id == collection_id, descriptions.c.recipe == recipe)
        .where(is_one_of(images.c.image_id, image_ids))
    )
    refused = (
        select(outcomes.c.image_id)
        .where(outcomes.c.collection_id == collection_id, outcomes.c.recipe == recipe, outcomes.c.kind == "refused")
        .where(is_one_of(outcomes.c.image_id, image_ids))
    )
    return {image_id for (image_id,) in await session.execute(described.union(refused))}


def _collapsed(rows: Sequence[Publication]) -> list[Publication]:
    """One row an image: a person's edit before all others, else the last; the URIs of all."""
    by_image: dict[str, Publication] = {}
    for row in rows:
        earlier = by_image.get(row.image_id, row)
        uris = tuple(dict.fromkeys((*earlier.uris, *row.uris)))
        edited = earlier.source == "person" and row.source != "person"
        by_image[row.image_id] = replace(earlier if edited else row, uris=uris)
    return list(by_image.values())


async def _upsert_images(
    session: WriteSession, collection_id: int, rows: Sequence[Publication], generation: int
) -> tuple[dict[str, int], bool]:
    """The row number of each image, and whether any was written: what it has already is merged, and only a change
    is written."""
    names = ["image_id", "id_from", "external_id", "metadata"]
    sent = given([_image(row) for row in rows], *(column(name, images.c[name].type) for name in names))
    chosen = select(_number(collection_id), *sent.c, _number(generation))
    new = upsert(images).from_select(["collection_id", *names, "generation"], chosen)
    metadata = images.c.metadata.op("||")(new.excluded.metadata)
    external_id = func.coalesce(new.excluded.external_id, images.c.external_id)
    merged = new.on_conflict_do_update(
        index_elements=["collection_id", "image_id"],
        set_={"metadata": metadata, "external_id": external_id},
        where=or_(metadata != images.c.metadata, external_id.is_distinct_from(images.c.external_id)),
    )
    written = (await session.execute(merged.returning(images.c.id))).first() is not None
    mine = and_(images.c.collection_id == collection_id, is_one_of(images.c.image_id, [row.image_id for row in rows]))
    found = await session.execute(select(images.c.image_id, images.c.id).where(mine))
    return {row.image_id: row.id for row in found}, written


async def _add_uris(session: WriteSession, rows: Sequence[Publication], image_rows: Mapping[str, int]) -> bool:
    """Were any of them new?"""
    values = [{"image": image_rows[row.image_id], "uri": uri} for row in rows for uri in row.uris]
    sent = given(values, column("image", BigInteger), column("uri", Text))
    new = upsert(image_uris).from_select(["image", "uri"], select(*sent.c)).on_conflict_do_nothing()
    return (await session.execute(new.returning(image_uris.c.image))).first() is not None


async def _insert_descriptions(
    session: WriteSession, rows: Sequence[Publication], image_rows: Mapping[str, int]
) -> set[int]:
    texts = [column(name, Text) for name in ("source", "variant", "recipe")]
    bodies = [column(name, JSONB) for name in ("body", "support", "usage", "notes")]
    values = [_description(image_rows[row.image_id], row) for row in rows]
    sent = given(values, column("image", BigInteger), *texts, *bodies)
    new = upsert(descriptions).from_select([one.name for one in sent.c], select(*sent.c)).on_conflict_do_nothing()
    return {row_id for (row_id,) in await session.execute(new.returning(descriptions.c.id))}


async def _earlier_imports(
    session: WriteSession, rows: Sequence[Publication], image_rows: Mapping[str, int]
) -> set[int]:
    """Descriptions that were imported before, gave way to another import since, and are now imported again."""
    imported = [row for row in rows if row.source == "import"]
    values = [{"image": image_rows[row.image_id], "variant": row.variant} for row in imported]
    wanted = given(values, column("image", BigInteger), column("variant", Text))
    found = (
        select(descriptions.c.id)
        .join(images, images.c.id == descriptions.c.image)
        .join(wanted, and_(wanted.c.image == descriptions.c.image, wanted.c.variant == descriptions.c.variant))
        .where(images.c.description_id != descriptions.c.id)
    )
    return {row_id for (row_id,) in await session.execute(found)}


async def _make_current(session: WriteSession, candidates: set[int], generation: int) -> set[int]:
    now = descriptions.alias("now")
    edited = select(now.c.id).where(now.c.id == images.c.description_id, now.c.source == "person").exists()
    chosen = (
        update(images)
        .where(is_one_of(descriptions.c.id, sorted(candidates)), images.c.id == descriptions.c.image)
        .where(or_(descriptions.c.source == "person", ~edited))
        .values(description_id=descriptions.c.id, generation=generation)
        .returning(descriptions.c.id)
    )
    return {row_id for (row_id,) in await session.execute(chosen)}


async def _forget_outcomes(session: WriteSession, collection_id: int, rows: Sequence[Publication]) -> None:
    by_recipe: dict[str, list[str]] = {}
    for row in rows:
        if row.recipe is not None:
            by_recipe.setdefault(row.recipe, []).append(row.image_id)
    for recipe, image_ids in by_recipe.items():
        mine = and_(outcomes.c.collection_id == collection_id, outcomes.c.recipe == recipe)
        await session.execute(delete(outcomes).where(mine, is_one_of(outcomes.c.image_id, image_ids)))


def _number(value: int) -> BindParameter[int]:
    return literal(value, BigInteger)


def _image(row: Publication) -> dict[str, Any]:
    return {
        "image_id": row.image_id,
        "id_from": row.id_from,
        "external_id": row.external_id,
        "metadata": dict(row.metadata),
    }


def _description(image_row: int, row: Publication) -> dict[str, Any]:
    return {
        "image": image_row,
        "source": row.source,
        "variant": row.variant,
        "recipe": row.recipe,
        "body": row.description.model_dump(mode="json", exclude_defaults=True),
        "support": dict(row.support),
        "usage": row.usage.model_dump(mode="json"),
        "notes": list(row.notes),
    }


def _outcome(outcome: Refused | Failed, uri: str | None, recipe: str) -> dict[str, str | None]:
    told = (outcome.image_id, recipe, outcome.kind, outcome.reason.value, outcome.detail, uri)
    return dict(zip(_OUTCOME, told, strict=True))
