"""What the catalog said a moment ago: collections for a quarter of a second, images until their collection changes.

This is the server's freshness bound: a change that another process committed is seen `FRESH` later at the latest.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from cachetools import LRUCache

from app.search.shown import Shown
from scenes.catalog import collections, images
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog

FRESH = timedelta(milliseconds=250)
_MOST_COLLECTIONS = 1_000
_MOST_VIEWS = 10_000


class CollectionCache:
    """Collections by name, asked again when older than `FRESH`; one question at a time for each."""

    def __init__(self, catalog: Catalog, fresh: timedelta = FRESH) -> None:
        self._catalog = catalog
        self._fresh_s = fresh.total_seconds()
        self._rows: LRUCache[str, tuple[float, CollectionRow]] = LRUCache(_MOST_COLLECTIONS)
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> CollectionRow:
        """Raises `NotFound` (`collection_unknown`)."""
        return self._fresh(name) or await self._ask(name)

    def forget(self, name: str) -> None:
        """Ask anew: this process changed it."""
        self._rows.pop(name, None)

    async def _ask(self, name: str) -> CollectionRow:
        async with self._asking.setdefault(name, asyncio.Lock()):
            try:
                return self._fresh(name) or await self._read(name)
            finally:
                self._asking.pop(name, None)

    async def _read(self, name: str) -> CollectionRow:
        asked = time.monotonic()
        self._rows.pop(name, None)
        async with self._catalog.reading() as session:
            row = await collections.get(session, name)
        self._rows[name] = (asked, row)
        return row

    def _fresh(self, name: str) -> CollectionRow | None:
        asked, row = self._rows.get(name, (0.0, None))
        return row if row is not None and time.monotonic() - asked < self._fresh_s else None


class ImageCache:
    """Images by row, as they were at their collection's newest known generation; the ones that were asked for last."""

    def __init__(self, catalog: Catalog, most: int = _MOST_VIEWS) -> None:
        self._catalog = catalog
        self._known: LRUCache[tuple[int, int, int], Shown] = LRUCache(most)

    async def by_rows(self, collection: CollectionRow, rows: Sequence[int]) -> dict[int, Shown]:
        """The images of these rows that still exist."""
        number, generation = collection.id, collection.generation
        known = ((row, self._known.get((number, generation, row))) for row in rows)
        found = {row: shown for row, shown in known if shown is not None}
        missing = [row for row in rows if row not in found]
        if missing:
            async with self._catalog.reading() as session:
                read = await images.by_rows(session, number, missing)
            for row, view in read.items():
                self._known[number, generation, row] = found[row] = Shown.of(view)
        return found
