"""How fast background work goes on: at full speed while nobody searches, else with a share of the time."""

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[object]]


class Pace:
    """Gives background work at most a share of the time while searches come; each piece of work is one `rest`."""

    def __init__(self, share: float, searches: Callable[[], int], sleep: Sleep = asyncio.sleep) -> None:
        """`share` is above 0 and at most 1; `searches` returns how many searches have come so far."""
        self._share = share
        self._searches = searches
        self._sleep = sleep
        self._seen = searches()

    async def rest(self, took_s: float) -> None:
        """After work of `took_s` seconds: sleep as long as the share asks for, if searches came since the last rest.

        A share of 0.2 rests four times as long as the work took.
        """
        before, self._seen = self._seen, self._searches()
        if self._seen != before:
            await self._sleep(took_s * (1 / self._share - 1))
