"""Samples of served searches held against exact search: what recall was, over all server processes."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import recall_samples

KEPT = timedelta(days=30)
WINDOW = 200
"""So many of the newest samples of a release are looked at."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """How many searches were sampled, how many neighbours they should have found, and how many they did."""

    searches: int
    wanted: int
    found: int

    @property
    def recall(self) -> float | None:
        """None where nothing was there to be found."""
        return self.found / self.wanted if self.wanted else None


async def add(session: WriteSession, collection_id: int, release: UUID, wanted: int, found: int) -> None:
    """Keep one sample, and forget old ones."""
    values = {"collection_id": collection_id, "release": release, "wanted": wanted, "found": found}
    await session.execute(insert(recall_samples).values(values))
    old = recall_samples.c.sampled_at < func.now() - KEPT
    await session.execute(delete(recall_samples).where(recall_samples.c.collection_id == collection_id, old))


async def newest(session: ReadSession, release: UUID, most: int = WINDOW) -> Sampled:
    """The newest samples of a release, added up."""
    mine = select(recall_samples).where(recall_samples.c.release == release)
    window = mine.order_by(recall_samples.c.id.desc()).limit(most).subquery()
    wanted, found = (func.coalesce(func.sum(window.c[name]), 0) for name in ("wanted", "found"))
    row = (await session.execute(select(func.count(), wanted, found).select_from(window))).one()
    return Sampled(*(int(number) for number in row))
