"""What expires leaves Postgres: stored searches, kept answers, ended sessions; at start, and every hour."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

from scenes.catalog import idempotency, searches, sessions
from scenes.catalog.connection import Catalog
from scenes.errors import WordsightError, trace_of

_log = logging.getLogger(__name__)
EVERY = timedelta(hours=1)


async def purge(catalog: Catalog) -> int:
    """Delete what is past its expiry; returns how many stored searches."""
    async with catalog.writing() as session:
        await idempotency.purge(session)
        await sessions.purge(session)
        return await searches.purge_expired(session)


@contextlib.asynccontextmanager
async def purging(catalog: Catalog, every: timedelta = EVERY) -> AsyncIterator[None]:
    """Purge now, and again after each `every`, until the block ends. Where Postgres is away, the next turn does it."""
    task = asyncio.create_task(_purge_forever(catalog, every))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _purge_forever(catalog: Catalog, every: timedelta) -> None:
    while True:
        try:
            await purge(catalog)
        except WordsightError as error:
            _log.warning("expired searches are not purged: %s", error.message)
        except Exception as error:  # noqa: BLE001 - the next turn tries again; it is reported
            _log.error("expired searches are not purged: %s", trace_of(error))
        await asyncio.sleep(every.total_seconds())
