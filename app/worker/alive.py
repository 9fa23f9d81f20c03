"""How many workers are alive, as a metric of the server."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from scenes.catalog import queue
from scenes.catalog.connection import Catalog
from scenes.errors import WordsightError, trace_of

EVERY = timedelta(seconds=5)
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def counting_workers(
    catalog: Catalog, lost_after: timedelta, found: Callable[[int], None], every: timedelta = EVERY
) -> AsyncIterator[None]:
    """Count now, and again after each `every`, until the block ends. While Postgres is away the last count is kept."""
    task = asyncio.create_task(_count_forever(catalog, lost_after, found, every))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _count_forever(
    catalog: Catalog, lost_after: timedelta, found: Callable[[int], None], every: timedelta
) -> None:
    while True:
        try:
            async with catalog.reading() as session:
                found(await queue.workers_alive(session, lost_after))
        except WordsightError:
            pass  # Postgres is away, which /readyz tells
        except Exception as error:  # noqa: BLE001 - the next turn counts again; it is reported
            _log.error("workers can't be counted: %s", trace_of(error))
        await asyncio.sleep(every.total_seconds())
