"""What was erased, remembered by image id alone: it outlives its collection, so that no old copy brings it back.

Collections that were restored from copies of one collection share its `origin`, and so its erasures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, cast, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.bulk import is_one_of
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import collections, erasures


@dataclass(frozen=True, slots=True)
class Erasure:
    """One image erased once."""

    id: UUID
    image_id: str
    erased_at: datetime


async def record(session: WriteSession, collection_id: int, image_ids: Sequence[str]) -> None:
    """Remember that these images were erased from a collection now."""
    origin = select(collections.c.origin).where(collections.c.id == collection_id).scalar_subquery()
    erased = func.unnest(cast(list(image_ids), ARRAY(Text)))
    if image_ids:
        await session.execute(insert(erasures).from_select(["origin", "image_id"], select(origin, erased)))


async def page(session: ReadSession, origin: UUID, after: UUID | None, limit: int) -> list[Erasure]:
    """Erasures of an origin in the order of their ids, those behind `after`."""
    found = select(erasures).where(erasures.c.origin == origin).order_by(erasures.c.id).limit(limit)
    if after is not None:
        found = found.where(erasures.c.id > after)
    return [Erasure(row.id, row.image_id, row.erased_at) for row in await session.execute(found)]


async def counts(session: ReadSession, origin: UUID, image_ids: Sequence[str]) -> dict[str, int]:
    """How often each of these images was erased; one that never was is left out."""
    mine = (erasures.c.origin == origin) & is_one_of(erasures.c.image_id, image_ids)
    counted = select(erasures.c.image_id, func.count().label("n")).where(mine).group_by(erasures.c.image_id)
    return {row.image_id: row.n for row in await session.execute(counted)}


async def add(session: WriteSession, origin: UUID, rows: Sequence[Erasure]) -> None:
    """Remember erasures that a copy knows of; known ones change nothing."""
    if not rows:
        return
    columns = (func.unnest(cast(list(part), ARRAY(erasures.c[name].type))) for name, part in _columns(rows).items())
    sent = select(literal(origin, erasures.c.origin.type), *columns)
    names = ["origin", *_columns(rows)]
    await session.execute(upsert(erasures).from_select(names, sent).on_conflict_do_nothing())


async def hold(session: WriteSession, origin: UUID) -> None:
    """Until this transaction ends, nothing is erased from any collection of an origin."""
    mine = select(collections.c.id).where(collections.c.origin == origin).order_by(collections.c.id)
    await session.execute(mine.with_for_update())


def _columns(rows: Sequence[Erasure]) -> dict[str, tuple[object, ...]]:
    names = ("id", "image_id", "erased_at")
    return {name: tuple(getattr(row, name) for row in rows) for name in names}
