"""What one key may take of a process that all keys share: requests a second, and things in use at once.

Kept in each process; nothing is written.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from scenes.errors import Overloaded

MOST_STREAMS = 64
STREAMS_PER_KEY = 16
MOST_UPLOADS = 64
UPLOADS_PER_KEY = 16
WRITES_PER_KEY = 4
"""Each holds one of the connections to Postgres, even while it waits for another write to the same collection."""
MOST_KEYS = 10_000
_AGAIN_S = 5.0


@dataclass(slots=True)
class Bucket:
    """`tokens` at a time in monotonic seconds."""

    tokens: float
    at: float


class KeyLimits:
    """Each key may send `per_second` requests on average and twice as many at once: a token bucket for each key.

    At most `MOST_KEYS` buckets are kept. A bucket that is full again is dropped without loss.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._burst = max(1.0, 2 * per_second)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key_id: str) -> None:
        """Take one token. Raises `Overloaded` (`rate_limited`) with the time until there is one."""
        bucket = self._bucket(key_id)
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / self._rate
            raise Overloaded("rate_limited", "this key asks too often", retry_after_s=wait, fix="wait, or ask for more")
        bucket.tokens -= 1

    def charge(self, key_id: str, tokens: int) -> None:
        """Take tokens of a request that costs more than one; what the key does not have yet, it waits for later."""
        self._bucket(key_id).tokens -= tokens

    def _bucket(self, key_id: str) -> Bucket:
        now = self._clock()
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= MOST_KEYS:
                self._drop_fullest()
            bucket = self._buckets[key_id] = Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        return bucket

    def _drop_fullest(self) -> None:
        """Drop a tenth of the buckets: those that have been full for longest, or will be full soonest."""
        fullest = heapq.nsmallest(MOST_KEYS // 10, self._buckets, key=self._full_at)
        for key_id in fullest:
            del self._buckets[key_id]

    def _full_at(self, key_id: str) -> float:
        bucket = self._buckets[key_id]
        return bucket.at + (self._burst - bucket.tokens) / self._rate


class Shares:
    """Things of one kind that are in use at once: `each` by one key, `most` in all. What is over that is refused."""

    def __init__(self, kind: str, each: int, most: int, fix: str) -> None:
        self._kind, self._each, self._most, self._fix = kind, each, most, fix
        self._used: Counter[str] = Counter()

    @contextmanager
    def used_by(self, key_id: str) -> Iterator[None]:
        """One of them, until the block ends. Raises `Overloaded` (`too_many_KIND_of_key`, `too_many_KIND`)."""
        if self._used[key_id] >= self._each:
            raise self._refusal("_of_key", f"this key has {self._each} {self._kind} open here, and may have no more")
        if self._used.total() >= self._most:
            raise self._refusal("", f"there are {self._most} {self._kind} open here, and may be no more")
        self._used[key_id] += 1
        try:
            yield
        finally:
            self._used[key_id] -= 1
            self._used = +self._used  # without the keys that use none

    def _refusal(self, ending: str, message: str) -> Overloaded:
        return Overloaded(f"too_many_{self._kind}{ending}", message, retry_after_s=_AGAIN_S, fix=self._fix)


def open_streams(each: int = STREAMS_PER_KEY, most: int = MOST_STREAMS) -> Shares:
    """The event streams of a process."""
    return Shares("streams", each, most, fix="ask with follow=false, or follow fewer jobs at once")


def open_uploads(each: int = UPLOADS_PER_KEY, most: int = MOST_UPLOADS) -> Shares:
    """The uploads that a process takes."""
    return Shares("uploads", each, most, fix="send fewer images at the same time")


class Turns:
    """Things of one kind that one key may use `each` of at once. What is over that waits for the key's own others."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._of: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(self, key_id: str) -> AsyncIterator[None]:
        """A turn of this key, until the block ends."""
        turns, users = self._of.get(key_id) or (asyncio.Semaphore(self._each), 0)
        self._of[key_id] = turns, users + 1
        try:
            async with turns:
                yield
        finally:
            self._leave(key_id)

    def _leave(self, key_id: str) -> None:
        turns, users = self._of.pop(key_id)
        if users > 1:
            self._of[key_id] = turns, users - 1
