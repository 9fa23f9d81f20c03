"""Requests worked on together: a request alone starts at once, many at once share a batch.

While all runners are busy, requests gather; the runner that is free next takes its share of them, once enough are
there to be worth a batch or one has waited a moment (`indexer.encoding.batch_delay`). The queue is bounded: a request
that comes to a full one is refused.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from indexer.encoding.batch_delay import Patience
from scenes.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")
MAX_BATCH = 32
MAX_WAITING = 256
Run = Callable[[Sequence[T]], Sequence[R]]
"""Works on a batch: one result for each request, in their order; no result may depend on the requests next to it."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T, R]):
    request: T
    future: "asyncio.Future[R]"
    came: float


class MicroBatcher(Generic[T, R]):
    """Shares batches among requests, with a bounded queue and `runners` batches at a time."""

    def __init__(self, run: Run[T, R], *, runners: int, waiting: int = MAX_WAITING) -> None:
        self._work = run
        self._free = runners
        self._most = waiting
        self._pool = ThreadPoolExecutor(runners, thread_name_prefix="encode")
        self._queue: deque[_Waiting[T, R]] = deque()
        self._running = 0
        self._patience = Patience(runners)
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a runner."""
        return len(self._queue)

    async def do(self, request: T) -> R:
        """The result of one request. Raises `Overloaded` (`encoder_busy`) where the queue is full, and as the work
        does."""
        if len(self._queue) >= self._most:
            raise Overloaded("encoder_busy", "too many queries wait to be embedded", retry_after_s=1.0)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        came = self._patience.came(self._running + len(self._queue) + 1)
        self._queue.append(_Waiting(request, future, came))
        self._start()
        return await future

    def close(self) -> None:
        """Let the batches in flight end; requests that still wait are cancelled."""
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
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._done, [one.request for one in batch])
            work.add_done_callback(partial(self._finish, batch, time.monotonic()))

    def _done(self, requests: Sequence[T]) -> list[R | Exception]:
        """Where the work fails for several at once, each is tried alone, so that only those fail that must."""
        try:
            return list(self._work(requests))
        except Exception as error:  # noqa: BLE001 - raised again in the request that it belongs to
            return [error] if len(requests) == 1 else [one for each in requests for one in self._done([each])]

    def _finish(self, batch: list[_Waiting[T, R]], began: float, done: "asyncio.Future[list[R | Exception]]") -> None:
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
