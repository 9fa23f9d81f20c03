"""Queries of many requests, embedded together: one request alone never waits, many at once share a batch.

A request starts at once while a runner is free. While all are busy, requests gather; the runner that is free next
takes as many as a batch holds. So the wait is bounded by one batch in flight, and nothing waits by the clock.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from indexer.encoder import Encoded, Encoder, Vectors, Words
from scenes.errors import Overloaded
from scenes.recipe import EncoderRecipe

MAX_BATCH = 32
MAX_WAITING = 256


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """`vector` float32 (dim,), unit length; `truncated`: was the query longer than the encoder reads?

    `words` float32 (t, word_dim) are its word vectors, None from an encoder that has none.
    """

    vector: Vectors
    truncated: bool
    words: Words | None = None


class QueryEncoder(Protocol):
    """Embeds one query for one request."""

    @property
    def recipe(self) -> EncoderRecipe: ...

    async def encode(self, query: str, *, remember: bool) -> EncodedQuery:
        """`remember` allows the vector to be kept in memory for the same query. Raises `Overloaded`."""
        ...


class MicroBatcher:
    """Shares batches among requests, with a bounded queue and `runners` batches at a time."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        runners: int,
        waiting: int = MAX_WAITING,
        seen: Callable[[int, float], None] = lambda _n, _s: None,
    ) -> None:
        self._encoder = encoder
        self._free = runners
        self._most = waiting
        self._seen = seen
        self._pool = ThreadPoolExecutor(runners, thread_name_prefix="encode")
        self._queue: deque[tuple[str, asyncio.Future[EncodedQuery]]] = deque()

    @property
    def recipe(self) -> EncoderRecipe:
        return self._encoder.recipe

    @property
    def waiting(self) -> int:
        """How many queries wait for a runner."""
        return len(self._queue)

    async def encode(self, query: str, *, remember: bool) -> EncodedQuery:  # noqa: ARG002 - nothing is kept here
        """Raises `Overloaded` (`encoder_busy`) where the queue is full: it never grows without bound."""
        if len(self._queue) >= self._most:
            raise Overloaded("encoder_busy", "too many queries wait to be embedded", retry_after_s=1.0)
        future: asyncio.Future[EncodedQuery] = asyncio.get_running_loop().create_future()
        self._queue.append((query, future))
        self._start()
        return await future

    def close(self) -> None:
        """Let the batches in flight end."""
        self._pool.shutdown()

    def _start(self) -> None:
        while self._free and self._queue:
            taken = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
            batch = [one for one in taken if not one[1].done()]
            if batch:
                self._free -= 1
                work = asyncio.get_running_loop().run_in_executor(
                    self._pool, self._encoder.encode_queries, [query for query, _ in batch]
                )
                work.add_done_callback(partial(self._finish, [future for _, future in batch], time.perf_counter()))

    def _finish(
        self, futures: list["asyncio.Future[EncodedQuery]"], started: float, done: "asyncio.Future[Encoded]"
    ) -> None:
        self._free += 1
        self._seen(len(futures), time.perf_counter() - started)
        for i, future in enumerate(futures):
            if future.done():
                continue
            if error := done.exception():
                future.set_exception(error)
            else:
                encoded = done.result()
                future.set_result(EncodedQuery(encoded.vectors[i], bool(encoded.truncated[i]), _words(encoded, i)))
        self._start()


def _words(encoded: Encoded, i: int) -> Words | None:
    return encoded.words[i] if encoded.words else None


class RememberingEncoder:
    """Keeps the newest vectors in memory under a keyed hash of their query; the key is this process's own secret."""

    def __init__(self, inner: QueryEncoder, size: int = 4_096, hit: Callable[[bool], None] = lambda _hit: None) -> None:
        self._inner = inner
        self._size = size
        self._hit = hit
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, EncodedQuery] = OrderedDict()

    @property
    def recipe(self) -> EncoderRecipe:
        return self._inner.recipe

    async def encode(self, query: str, *, remember: bool) -> EncodedQuery:
        if not remember:
            return await self._inner.encode(query, remember=False)
        name = hmac.digest(self._key, query.encode(), "sha256")
        known = self._known.get(name)
        self._hit(known is not None)
        if known is None:
            known = await self._inner.encode(query, remember=True)
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return known
