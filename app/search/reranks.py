"""The re-ranker of a service: one thread of its own, a bounded queue before it, and a budget for each search.

A search whose budget is spent in the queue, or that finds the queue full, is answered in the order it had. A further
page re-ranks exactly as many candidates as the first one reached, which its cursor tells: pages neither overlap nor
gap. It is given some budgets for it, and refused where they do not suffice.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from app.search.engines import Watcher
from app.search.known import KnownImages
from app.search.outcome import Outcome, Place
from app.search.paging import Page
from app.search.shown import Shown
from indexer.retrieval.reranking import Reranked, Reranking
from indexer.structure.structure import told
from scenes.answer import Query
from scenes.errors import Overloaded
from scenes.fields import said

_MOST_WAITING = 32
_BUDGETS = 5
"""So many a further page may take: the first one has shown that one is about enough."""


class Reranks:
    """Re-ranks what searches found; called on one event loop."""

    def __init__(self, reranking: Reranking, images: KnownImages, watcher: Watcher, most: int = _MOST_WAITING) -> None:
        """`most` searches may wait or be re-ranked at once."""
        self._reranking = reranking
        self._images = images
        self._watcher = watcher
        self._most = most
        self._busy = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="re-ranker")

    @property
    def name(self) -> str:
        """The re-ranker's: pages of one answer are all ordered by the same."""
        return self._reranking.reranker.name

    def close(self) -> None:
        """Whoever waits is not served any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def put(self, at: Place, outcome: Outcome, query: Query, page: Page) -> Outcome:
        """The outcome in its new order. Raises `Overloaded` (`reranker_busy`) for a further page."""
        if page.offset >= self._reranking.depth or page.reranked == 0:
            return replace(outcome, reranked=page.reranked)
        until = self._reranking.deadline(1 if page.reranked is None else _BUDGETS)
        if self._busy >= self._most:
            return _left(outcome, page)
        self._busy += 1
        try:
            rows = outcome.ranked.rows[: self._reranking.depth].tolist()
            there = await self._images.by_rows(at.collection, rows)
            work = self._thread.submit(self._work, outcome, query.query, there, until, page.reranked)
            done = await self._awaited(work, until) or Reranked(outcome.ranked, 0)
        finally:
            self._busy -= 1
        if page.reranked is not None and done.count < min(page.reranked, len(there)):
            raise _busy()
        return replace(outcome, ranked=done.found, reranked=done.count)

    async def _awaited(self, work: Future[Reranked], until: float) -> Reranked | None:
        """What the thread did, None where its turn had not come by the deadline; nobody waits for what is abandoned."""
        result = asyncio.wrap_future(work)
        try:
            wait_s = until - self._reranking.clock()
            done, _ = await asyncio.wait({result}, timeout=None if wait_s == math.inf else max(0.0, wait_s))
            if not done and work.cancel():
                return None
            return await result
        finally:
            work.cancel()

    def _work(
        self, outcome: Outcome, query: str, there: Mapping[int, Shown], until: float, most: int | None
    ) -> Reranked:
        started = time.perf_counter()
        texts = {row: _text(shown, outcome.fields) for row, shown in there.items()}
        done = self._reranking.reranked(outcome.ranked, query, texts, until=until, most=most)
        self._watcher.stage_took("rerank", time.perf_counter() - started)
        return done


def _text(shown: Shown, fields: tuple[str, ...] | None) -> str:
    """All that the description says, or all that these fields of it say."""
    description = shown.view.description
    return said(description if fields is None else told(description, fields))


def _left(outcome: Outcome, page: Page) -> Outcome:
    if page.reranked is None:
        return replace(outcome, reranked=0)
    raise _busy()


def _busy() -> Overloaded:
    return Overloaded("reranker_busy", "too many searches wait to be re-ranked", retry_after_s=1.0)
