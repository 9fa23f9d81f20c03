"""Waking up when a collection changes: by NOTIFY where it arrives, else by the clock."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from scenes.catalog.collections import CHANGES
from scenes.catalog.connection import Catalog
from scenes.errors import WordsightError


async def wakes(catalog: Catalog, at_least_every: timedelta) -> AsyncGenerator[bool]:
    """Yields at once, then whenever a notification comes (True) and after `at_least_every` without one (False).

    A connection that breaks, or a pooler that swallows notifications, costs no more than the waiting time.
    """
    seconds = at_least_every.total_seconds()
    while True:
        yield False
        try:
            async with catalog.listening(CHANGES) as notices:
                while True:
                    yield await notices.wait(at_least_every)
        except WordsightError:
            await asyncio.sleep(seconds)
