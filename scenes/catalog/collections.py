"""Collections: their settings, their generation, their counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Row, cast, func, select, text
from sqlalchemy import delete as sql_delete
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import api_keys, collections, images, outcomes
from scenes.collection import COLLECTION_NAME, Collection
from scenes.errors import Conflict, NotFound

_BUILDS = 0x776F7264
_CHANGES = 0x776F7265
_NAME = re.compile(COLLECTION_NAME)
CHANGES = "wordsight"
"""The NOTIFY channel; its payload is 'collection id:generation'."""


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as the catalog knows it; `generation` rises with every change that a search may see.

    `candidate_release` is one of another encoder, built beside and not served yet; `origin` is shared by what was
    restored from copies of one collection.
    """

    id: int
    settings: Collection
    generation: int
    active_release: UUID | None
    previous_release: UUID | None
    candidate_release: UUID | None
    origin: UUID
    created_at: datetime

    @property
    def releases(self) -> tuple[UUID, ...]:
        """The active, the previous and the candidate release, those there are."""
        named = (self.active_release, self.previous_release, self.candidate_release)
        return tuple(one for one in named if one is not None)


@dataclass(frozen=True, slots=True)
class Counts:
    """Images of a collection, and how captioning ended for those without a description."""

    images: int
    refused: int
    failed: int


async def create(session: WriteSession, settings: Collection) -> CollectionRow:
    """A new collection. Raises `Conflict` (`collection_exists`)."""
    row = await _insert(session, settings)
    if row is None:
        raise Conflict("collection_exists", f"the collection {settings.name!r} exists already")
    return row


async def ensure(session: WriteSession, settings: Collection) -> CollectionRow:
    """The collection of this name, made with these settings where it does not exist."""
    return await _insert(session, settings) or await get(session, settings.name)


async def get(session: ReadSession, name: str) -> CollectionRow:
    """Raises `NotFound` (`collection_unknown`); of what can't be a name Postgres is not asked."""
    found = select(collections).where(collections.c.name == name)
    row = (await session.execute(found)).one_or_none() if _NAME.fullmatch(name) else None
    if row is None:
        raise NotFound(
            "collection_unknown", f"there is no collection {name!r}", fix="wordsight collection list shows all"
        )
    return _as_row(row)


async def by_id(session: ReadSession, collection_id: int) -> CollectionRow:
    """Raises `NotFound` (`collection_unknown`)."""
    row = (await session.execute(select(collections).where(collections.c.id == collection_id))).one_or_none()
    if row is None:
        raise _no_number(collection_id)
    return _as_row(row)


async def generation(session: ReadSession, collection_id: int) -> int:
    """The newest generation of a collection."""
    return (await by_id(session, collection_id)).generation


async def heads(session: ReadSession, collection_ids: Sequence[int]) -> dict[int, tuple[int, UUID | None]]:
    """Generation and active release of those of these collections that still exist."""
    found = select(collections.c.id, collections.c.generation, collections.c.active_release)
    rows = await session.execute(found.where(collections.c.id.in_(collection_ids)))
    return {row.id: (row.generation, row.active_release) for row in rows}


async def all_heads(session: ReadSession) -> dict[int, tuple[int, str | None]]:
    """Generation and encoder of every collection, by its number."""
    encoder = collections.c.settings["encoder"].astext.label("encoder")
    rows = await session.execute(select(collections.c.id, collections.c.generation, encoder))
    return {row.id: (row.generation, row.encoder) for row in rows}


async def gone(session: ReadSession, numbers: Sequence[int]) -> list[int]:
    """Those of these numbers that were collections here and are no more; what another catalog numbered is not told."""
    asked = func.unnest(cast(list(numbers), ARRAY(BigInteger))).column_valued("number")
    newest = func.pg_sequence_last_value(func.pg_get_serial_sequence("collections", "id"))
    is_there = select(collections.c.id).where(collections.c.id == asked).exists()
    return list((await session.execute(select(asked).where(asked <= newest, ~is_there).order_by(asked))).scalars())


async def all_(session: ReadSession) -> list[CollectionRow]:
    """All collections by name."""
    return [_as_row(row) for row in await session.execute(select(collections).order_by(collections.c.name))]


async def update(session: WriteSession, settings: Collection) -> CollectionRow:
    """Replace the settings of the collection of this name. Raises `NotFound`."""
    await get(session, settings.name)
    await session.execute(
        sql_update(collections)
        .where(collections.c.name == settings.name)
        .values(settings=settings.model_dump(mode="json"))
    )
    return await get(session, settings.name)


async def delete(session: WriteSession, name: str) -> CollectionRow:
    """Remove a collection, all that is in it and the keys to it. Raises `NotFound`."""
    row = await get(session, name)
    await session.execute(sql_delete(api_keys).where(api_keys.c.collection == name))
    await session.execute(sql_delete(collections).where(collections.c.id == row.id))
    await notify(session, row.id, row.generation + 1)
    return row


async def counts(session: ReadSession, collection_id: int) -> Counts:
    """How many images, and how many refused and failed ones beside them."""
    described = select(func.count()).select_from(images).where(images.c.collection_id == collection_id)
    by_kind = select(outcomes.c.kind, func.count().label("n")).where(outcomes.c.collection_id == collection_id)
    kinds = {row.kind: row.n for row in await session.execute(by_kind.group_by(outcomes.c.kind))}
    total = (await session.execute(described)).scalar_one()
    return Counts(total, kinds.get("refused", 0), kinds.get("failed", 0))


async def lock(session: WriteSession, collection_id: int) -> int:
    """Hold a collection until this transaction ends, before anything in it is written; returns its generation.

    Raises `NotFound` (`collection_unknown`).
    """
    row = select(collections.c.generation).where(collections.c.id == collection_id).with_for_update()
    return _generation_of(collection_id, (await session.execute(row)).scalar_one_or_none())


async def next_generation(session: WriteSession, collection_id: int) -> int:
    """Open a new generation and tell listeners; the row lock makes commit order generation order.

    Raises `NotFound` (`collection_unknown`).
    """
    raised = (
        sql_update(collections)
        .where(collections.c.id == collection_id)
        .values(generation=collections.c.generation + 1)
        .returning(collections.c.generation)
    )
    generation = _generation_of(collection_id, (await session.execute(raised)).scalar_one_or_none())
    await notify(session, collection_id, generation)
    return generation


async def hold_for_build(session: WriteSession, collection_id: int) -> None:
    """Be the only builder of a collection until this transaction ends; the next one waits its turn."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:space, :id)"), {"space": _BUILDS, "id": collection_id})


async def hold_for_change(session: WriteSession, collection_id: int) -> None:
    """Be the only one who prepares another encoder for a collection until this transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:space, :id)"), {"space": _CHANGES, "id": collection_id})


async def count_anew(session: WriteSession) -> None:
    """Let Postgres look at how much is in its tables and plan by that: after a bulk load, autovacuum comes late.

    Another one that is at it already is not waited for.
    """
    await session.execute(text("ANALYZE (SKIP_LOCKED) images, descriptions, embeddings"))


async def notify(session: WriteSession, collection_id: int, generation: int) -> None:
    """Tell listeners, when this transaction commits, that a collection changed."""
    await session.execute(text("SELECT pg_notify(:c, :p)"), {"c": CHANGES, "p": f"{collection_id}:{generation}"})


def _generation_of(collection_id: int, found: int | None) -> int:
    if found is None:
        raise _no_number(collection_id)
    return found


def _no_number(collection_id: int) -> NotFound:
    return NotFound("collection_unknown", f"there is no collection number {collection_id}")


async def _insert(session: WriteSession, settings: Collection) -> CollectionRow | None:
    values = {"name": settings.name, "settings": settings.model_dump(mode="json")}
    made = upsert(collections).values(**values).on_conflict_do_nothing().returning(collections)
    row = (await session.execute(made)).one_or_none()
    return None if row is None else _as_row(row)


def _as_row(row: Row[tuple[object, ...]]) -> CollectionRow:
    return CollectionRow(
        id=row.id,
        settings=Collection.model_validate(row.settings),
        generation=row.generation,
        active_release=row.active_release,
        previous_release=row.previous_release,
        candidate_release=row.candidate_release,
        origin=row.origin,
        created_at=row.created_at,
    )
