"""The newest snapshot of every collection that is searched.

A search takes the newest snapshot and keeps it, so that a flip never disturbs a running search. Where the searcher
follows the catalog, snapshots are made in the background, and a request waits at most its patience for one.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from indexer.releases.index_reader import Found, Snapshot
from indexer.releases.loading import Accelerate, Loader, itself
from scenes.catalog import collections
from scenes.catalog.changes import wakes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.errors import NotFound, WordsightError, trace_of
from scenes.recipe import EncoderRecipe

__all__ = ["Found", "Searcher", "Snapshot"]

POLL = timedelta(milliseconds=500)
"""A follower looks at least this often, also where no notification comes."""
PATIENCE = timedelta(milliseconds=50)
"""How long a request of a following searcher waits for the newest snapshot before it takes the one at hand."""
_PAUSE_S = 0.02
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    newest: Snapshot | None = None
    flight: "asyncio.Task[Snapshot] | None" = None


class Searcher:
    """Keeps and renews snapshots; at most one is being made for each collection."""

    def __init__(self, catalog: Catalog, encoder: EncoderRecipe, home: Path, accelerate: Accelerate = itself) -> None:
        self._catalog = catalog
        self._loader = Loader(catalog, encoder, home, accelerate)
        self._kept: dict[int, _Kept] = {}
        self._patience_s: float | None = None

    async def snapshot(self, collection: CollectionRow) -> Snapshot:
        """A snapshot as new as the given row of the collection; while following, after `PATIENCE` an older one.

        Raises `NotFound` (`collection_unknown`), `EnvironmentMissing`.
        """
        kept = self._kept.setdefault(collection.id, _Kept())
        for _ in range(2):  # one being made may have begun before the row was read, the next one has not
            known = kept.newest
            if known is not None and _is_fresh(known, collection.generation, collection.active_release):
                return known
            flight = self._flight(kept, collection.id)
            hurry = None if known is None else self._patience_s
            done, _ = await asyncio.wait({flight}, timeout=hurry)
            if known is not None and hurry is not None and (not done or flight.exception() is not None):
                return known
            newest = flight.result()
        return newest

    def forget(self, collection_id: int) -> None:
        """Let go of a collection's snapshot; searches that hold it are not disturbed."""
        self._kept.pop(collection_id, None)

    def troubles(self) -> dict[int, str]:
        """For each collection whose active release does not answer, by its number: why."""
        newest = [kept.newest for kept in self._kept.values()]
        return {one.collection_id: one.trouble for one in newest if one is not None and one.trouble is not None}

    @contextlib.asynccontextmanager
    async def following(self, poll: timedelta = POLL) -> AsyncIterator[None]:
        """Renew snapshots as their collections change, until the block ends."""
        task = asyncio.create_task(self._follow(poll))
        self._patience_s = PATIENCE.total_seconds()
        try:
            yield
        finally:
            self._patience_s = None
            tasks = [task, *(kept.flight for kept in self._kept.values() if kept.flight is not None)]
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, poll: timedelta) -> None:
        while True:
            try:
                async with contextlib.aclosing(wakes(self._catalog, poll)) as woken:
                    async for _ in woken:
                        await self._catch_up_or_report()
                        await asyncio.sleep(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - searches would grow old without it; it is reported
                _log.error("snapshots are not renewed: %s", trace_of(error))
            await asyncio.sleep(poll.total_seconds())

    async def _catch_up_or_report(self) -> None:
        try:
            await self._catch_up()
        except WordsightError as error:
            _log.warning("snapshots are not renewed: %s", error)

    async def _catch_up(self) -> None:
        known = {number: kept for number, kept in self._kept.items() if kept.newest is not None}
        if not known:
            return
        async with self._catalog.reading() as session:
            heads = await collections.heads(session, list(known))
        for number in known.keys() - heads.keys():
            self._kept.pop(number)
        flights = [
            self._flight(known[number], number)
            for number, head in heads.items()
            if (newest := known[number].newest) is not None and not _is_fresh(newest, *head)
        ]
        if flights:
            await asyncio.wait(flights)

    def _flight(self, kept: _Kept, collection_id: int) -> "asyncio.Task[Snapshot]":
        """The one that is being made, else a new one."""
        if kept.flight is None or kept.flight.done():
            kept.flight = asyncio.create_task(self._renew(kept, collection_id))
            kept.flight.add_done_callback(_tell)
        return kept.flight

    async def _renew(self, kept: _Kept, collection_id: int) -> Snapshot:
        before = kept.newest
        kept.newest = await self._loader.load(collection_id, before)
        told = before.trouble if before else None
        if kept.newest.trouble != told:
            _log.error("collection %d: %s", collection_id, kept.newest.trouble or "its active release answers again")
        return kept.newest


def _is_fresh(snapshot: Snapshot, generation: int, active_release: UUID | None) -> bool:
    return (
        snapshot.generation >= generation
        and snapshot.active_release == active_release
        and not snapshot.may_be_retried()
    )


def _tell(flight: "asyncio.Task[Snapshot]") -> None:
    """Look at how a flight ended, so that a failure that no request waited for is told once."""
    error = None if flight.cancelled() else flight.exception()
    if error is not None and not isinstance(error, NotFound):
        _log.warning("a snapshot could not be made: %s", error)
