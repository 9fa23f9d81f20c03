"""Stored searches on their way to Postgres: written in batches, beside the answers, in a bounded queue.

A search after a `QUIET` moment is stored before it is answered. Under load answers do not wait: what was answered
begins to be written within `PAUSE` while Postgres answers, is written at a graceful end, and is kept and tried again
while Postgres is away; only a process that is killed loses what it answered in the last moments. A full queue refuses
searches: nothing is dropped silently.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from scenes.catalog import searches
from scenes.catalog.connection import Catalog
from scenes.catalog.searches import StoredSearch
from scenes.errors import Overloaded, WordsightError, trace_of

PAUSE = timedelta(milliseconds=200)
"""Between two batches."""
QUIET = timedelta(milliseconds=250)
"""Without a search for so long, the next one is stored before it is answered."""
MOST_WAITING = 20_000
_BATCH = 500
_AGAIN_S = 1.0
_DRAIN_S = 3.0
_log = logging.getLogger(__name__)


class BatchLog:
    """Writes what was put, a batch at a time; made by `batching`."""

    def __init__(self, catalog: Catalog, most: int = MOST_WAITING) -> None:
        self._catalog = catalog
        self._most = most
        self._waiting: deque[StoredSearch] = deque()
        self._writing = asyncio.Lock()
        self._some = asyncio.Event()
        self._next = self._last = 0.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def put(self, search: StoredSearch) -> None:
        """Raises `Overloaded` (`search_log_full`) where Postgres has been away for too many searches."""
        if len(self._waiting) >= self._most:
            raise Overloaded("search_log_full", "searches can't be stored fast enough", retry_after_s=5.0)
        self._waiting.append(search)
        now = time.monotonic()
        quiet, self._last = now - self._last > QUIET.total_seconds(), now
        if not quiet or self._writing.locked() or now < self._next:
            self._some.set()
        else:
            await self._flush_or_later()

    async def flush_for(self, search_id: UUID) -> None:
        """Write what is waiting where this search is part of it, so that it can be read at once."""
        if any(search.id == search_id for search in self._waiting):
            await self.flush()

    async def flush(self) -> None:
        """Write all that is waiting. Raises `EnvironmentMissing`; what was not written stays."""
        async with self._writing:
            while self._waiting:
                await self._write([self._waiting[i] for i in range(min(_BATCH, len(self._waiting)))])

    async def _write(self, batch: list[StoredSearch]) -> None:
        async with self._catalog.writing() as session:
            await searches.store(session, batch)
        for _ in batch:
            self._waiting.popleft()

    async def keep_writing(self) -> None:
        """Write what is waiting, batch after batch, until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
            self._some.clear()
            await self._flush_or_later()

    async def _flush_or_later(self) -> None:
        self._next = time.monotonic() + PAUSE.total_seconds()
        try:
            await self.flush()
        except WordsightError:
            self._later()
        except Exception as error:  # noqa: BLE001 - what waits is kept and tried again; it is reported
            _log.error("stored searches can't be written: %s", trace_of(error))
            self._later()

    def _later(self) -> None:
        self._next = time.monotonic() + _AGAIN_S
        self._some.set()


@contextlib.asynccontextmanager
async def batching(catalog: Catalog) -> AsyncIterator[BatchLog]:
    """A log that writes beside the block and, at its end, what is left."""
    log = BatchLog(catalog)
    task = asyncio.create_task(log.keep_writing())
    try:
        yield log
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(_DRAIN_S):
            await log.flush()
