"""Queries of many requests, embedded together: a request alone starts at once, many at once share a batch.

While all runners are busy, requests gather; the runner that is free next takes its share of them, once enough are
there to be worth a batch or one has waited a moment (`indexer.encoding.batch_delay`). The queue is bounded: who comes
to a full one is refused. What is done with vectors is done by the same runner, for all of a batch that want the
same, so that a request changes threads twice, however many steps it has.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from indexer.encoding.batch_delay import Patience
from indexer.encoding.encoder import Encoded, Encoder, Vectors, Words
from scenes.errors import Overloaded
from scenes.recipe import EncoderRecipe

T = TypeVar("T")
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


Then = Callable[[Sequence[EncodedQuery]], Sequence[T]]
"""What is done with encoded queries, for each its result. Equal ones are called once for all of a batch that want it:
no result may depend on the queries beside it."""


class QueryEncoder(Protocol):
    """Embeds one query for one request."""

    @property
    def recipe(self) -> EncoderRecipe: ...

    async def encode_then(self, query: str, then: Then[T], *, remember: bool) -> T:
        """What `then` makes of the encoded query, in a thread of its own.

        `remember` allows the vector to be kept in memory for the same query. Raises `Overloaded`, and as `then` does.
        """
        ...


def itself(encoded: Sequence[EncodedQuery]) -> Sequence[EncodedQuery]:
    """Nothing is done with them: `encode_then(query, itself)` only encodes."""
    return encoded


@dataclass(frozen=True, slots=True)
class _Waiting:
    query: str
    then: Then[Any]
    future: "asyncio.Future[Any]"
    came: float


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
        self._queue: deque[_Waiting] = deque()
        self._running = 0
        self._patience = Patience(runners)
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def recipe(self) -> EncoderRecipe:
        return self._encoder.recipe

    @property
    def waiting(self) -> int:
        """How many queries wait for a runner."""
        return len(self._queue)

    async def encode_then(self, query: str, then: Then[T], *, remember: bool) -> T:  # noqa: ARG002
        """Raises `Overloaded` (`encoder_busy`) where the queue is full: it never grows without bound."""
        if len(self._queue) >= self._most:
            raise Overloaded("encoder_busy", "too many queries wait to be embedded", retry_after_s=1.0)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        came = self._patience.came(self._running + len(self._queue) + 1)
        self._queue.append(_Waiting(query, then, future, came))
        self._start()
        return await future

    def close(self) -> None:
        """Let the batches in flight end; who still waits is not served any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._queue:
            self._queue.popleft().future.cancel()
        self._pool.shutdown()

    def _start(self) -> None:
        while self._free and self._queue:
            share = self._patience.share
            wait_s = 0.0 if len(self._queue) >= share else self._patience.left_s(self._queue[0].came)
            if wait_s:
                self._start_after(wait_s)
                return
            self._begin(min(MAX_BATCH, max(share, -(-len(self._queue) // self._free))))

    def _start_after(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._rung)

    def _rung(self) -> None:
        self._alarm = None
        self._start()

    def _begin(self, most: int) -> None:
        """Give a free runner the first of those that wait."""
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        batch = [one for one in taken if not one.future.done()]
        if batch:
            self._free -= 1
            self._running += len(batch)
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._run, batch)
            work.add_done_callback(partial(self._finish, batch, time.monotonic()))

    def _run(self, batch: list[_Waiting]) -> list[Any]:
        """For each request its result, or the exception of its own `then`."""
        started = time.perf_counter()
        encoded = self._encoder.encode_queries([one.query for one in batch])
        self._seen(len(batch), time.perf_counter() - started)
        return _outcomes([one.then for one in batch], [_nth(encoded, i) for i in range(len(batch))])

    def _finish(self, batch: list[_Waiting], began: float, done: "asyncio.Future[list[Any]]") -> None:
        self._free += 1
        self._patience.ended(time.monotonic() - began)
        self._running -= len(batch)
        error = done.exception()
        outcomes = [error] * len(batch) if error else done.result()
        for one, outcome in zip(batch, outcomes, strict=True):
            if one.future.done():
                continue
            if isinstance(outcome, BaseException):
                one.future.set_exception(outcome)
            else:
                one.future.set_result(outcome)
        self._start()


def _outcomes(thens: Sequence[Then[Any]], encoded: Sequence[EncodedQuery]) -> list[Any]:
    """For each query its result, or the exception of its own `then`."""
    alike: dict[Then[Any], list[int]] = {}
    for place, then in enumerate(thens):
        alike.setdefault(then, []).append(place)
    outcomes: list[Any] = [None] * len(thens)
    for then, places in alike.items():
        for place, outcome in zip(places, _done(then, [encoded[place] for place in places]), strict=True):
            outcomes[place] = outcome
    return outcomes


def _done(then: Then[Any], encoded: Sequence[EncodedQuery]) -> list[Any]:
    """Where it fails for several at once, each is tried alone, so that only those fail that must."""
    try:
        return list(then(encoded))
    except Exception as error:  # noqa: BLE001 - raised again in the request that it belongs to
        return [error] if len(encoded) == 1 else [outcome for one in encoded for outcome in _done(then, [one])]


def _nth(encoded: Encoded, i: int) -> EncodedQuery:
    words = encoded.words[i] if encoded.words else None
    return EncodedQuery(encoded.vectors[i], bool(encoded.truncated[i]), words)


@dataclass(frozen=True, slots=True)
class _Beside(Generic[T]):
    """What `then` makes of queries, each beside its encoded query."""

    then: Then[T]

    def __call__(self, encoded: Sequence[EncodedQuery]) -> list[tuple[EncodedQuery, T]]:
        return list(zip(encoded, self.then(encoded), strict=True))


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

    async def encode_then(self, query: str, then: Then[T], *, remember: bool) -> T:
        if not remember:
            return await self._inner.encode_then(query, then, remember=False)
        name = hashlib.blake2b(query.encode(), digest_size=32, key=self._key).digest()
        known = self._known.get(name)
        self._hit(known is not None)
        if known is not None:
            self._known.move_to_end(name)
            return (await asyncio.to_thread(then, [known]))[0]
        encoded, result = await self._inner.encode_then(query, _Beside(then), remember=True)
        self._known[name] = encoded
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return result
