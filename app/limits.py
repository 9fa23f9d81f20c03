"""Token buckets: how often each key may ask. Kept in each process with its share of the limit; nothing is written."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from scenes.errors import Overloaded

_MOST_KEYS = 10_000


@dataclass(slots=True)
class Bucket:
    """`tokens` at a time in monotonic seconds."""

    tokens: float
    at: float


class KeyLimits:
    """Each key may send `per_second` requests on average and twice as many at once."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._burst = max(1.0, 2 * per_second)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key_id: str) -> None:
        """Take one token. Raises `Overloaded` (`rate_limited`) with the time until there is one."""
        now = self._clock()
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= _MOST_KEYS:
                self._buckets.clear()
            bucket = self._buckets[key_id] = Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / self._rate
            raise Overloaded("rate_limited", "this key asks too often", retry_after_s=wait, fix="wait, or ask for more")
        bucket.tokens -= 1
