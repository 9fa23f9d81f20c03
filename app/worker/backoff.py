"""When something that failed is tried again: each time twice as late, up to a limit."""

import time
from collections.abc import Callable, Hashable, Set
from datetime import timedelta


class Backoff:
    """Keeps for each thing that failed when it may be tried again."""

    def __init__(
        self,
        first: timedelta = timedelta(seconds=5),
        longest: timedelta = timedelta(minutes=5),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_s, self._longest_s, self._clock = first.total_seconds(), longest.total_seconds(), clock
        self._failed: dict[Hashable, tuple[int, float]] = {}
        """How often in a row, and when it may be tried again."""

    def is_due(self, thing: Hashable) -> bool:
        """Is there no reason to wait any longer?"""
        return thing not in self._failed or self._clock() >= self._failed[thing][1]

    def failed(self, thing: Hashable) -> timedelta:
        """Remember a failure; returns how long to wait."""
        times = self._failed.get(thing, (0, 0.0))[0] + 1
        wait_s = min(self._longest_s, self._first_s * 2.0 ** min(times - 1, 30))
        self._failed[thing] = times, self._clock() + wait_s
        return timedelta(seconds=wait_s)

    def succeeded(self, thing: Hashable) -> None:
        """Forget its failures."""
        self._failed.pop(thing, None)

    def next_due(self) -> timedelta | None:
        """In how long the next thing may be tried again; None where nothing waits."""
        if not self._failed:
            return None
        return timedelta(seconds=max(0.0, min(until for _, until in self._failed.values()) - self._clock()))

    def keep(self, things: Set[Hashable]) -> None:
        """Forget all others."""
        self._failed = {thing: state for thing, state in self._failed.items() if thing in things}
