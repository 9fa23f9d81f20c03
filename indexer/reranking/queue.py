"""The re-ranker of a retriever: one thread of its own, a bounded queue before it, and a budget for each search.

A search whose budget is spent in the queue, or that finds the queue full, is answered in the order it had. A further
page re-ranks exactly as many candidates as the first one reached, which its cursor says: pages neither overlap nor
gap. It is given some budgets for it, and refused where they do not suffice.
"""

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from indexer.reranking.reranking import Reranked, Reranking
from indexer.retrieval.request import Outcome, SearchRequest
from indexer.structure.structure import told
from scenes.catalog import field_search
from scenes.catalog.connection import Catalog
from scenes.description import SceneDescription
from scenes.errors import Overloaded
from scenes.fields import said

_MOST_WAITING = 32
_BUDGETS = 5
"""So many a further page may take: the first one has shown that one is about enough."""


class RerankQueue:
    """Re-ranks what searches found; used on one event loop."""

    def __init__(self, reranking: Reranking, catalog: Catalog, most: int = _MOST_WAITING) -> None:
        """`most` searches may wait or be re-ranked at once."""
        self._reranking = reranking
        self._catalog = catalog
        self._most = most
        self._busy = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="re-ranker")

    @property
    def name(self) -> str:
        """The re-ranker's name: pages of one answer are all ordered by the same."""
        return self._reranking.reranker.name

    def close(self) -> None:
        """End the thread; searches that wait for it are cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def put(self, collection_id: int, outcome: Outcome, request: SearchRequest) -> Outcome:
        """The outcome in its new order. Raises `Overloaded` (`reranker_busy`) for a further page."""
        is_first = request.offset == 0
        if request.offset >= self._reranking.depth or (not is_first and request.reranked == 0):
            return replace(outcome, reranked=request.reranked)
        until = self._reranking.deadline(1 if is_first else _BUDGETS)
        if self._busy >= self._most:
            return _left(outcome, is_first)
        self._busy += 1
        try:
            texts = await self._texts(collection_id, outcome)
            work = self._thread.submit(self._work, outcome, request, texts, until)
            done = await self._awaited(work, until) or Reranked(outcome.ranked, 0)
        finally:
            self._busy -= 1
        if request.reranked is not None and done.count < min(request.reranked, len(texts)):
            raise _busy()
        return replace(outcome, ranked=done.found, reranked=done.count)

    async def _texts(self, collection_id: int, outcome: Outcome) -> dict[int, SceneDescription]:
        """The descriptions of the candidates that may be re-ranked, by row."""
        rows = outcome.ranked.rows[: self._reranking.depth].tolist()
        async with self._catalog.reading() as session:
            described = await field_search.described(session, collection_id, rows)
            bodies = await field_search.bodies(session, list(described))
        return {described[one]: body for one, body in bodies.items()}

    async def _awaited(self, work: Future[Reranked], until: float) -> Reranked | None:
        """What the thread did, None where its turn had not come by the deadline; nothing waits for it then."""
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
        self, outcome: Outcome, request: SearchRequest, there: Mapping[int, SceneDescription], until: float
    ) -> Reranked:
        texts = {row: _text(description, request.fields) for row, description in there.items()}
        return self._reranking.reranked(outcome.ranked, request.query, texts, until=until, most=request.reranked)


def _text(description: SceneDescription, fields: tuple[str, ...] | None) -> str:
    """All that the description says, or all that these fields of it say."""
    return said(description if fields is None else told(description, fields))


def _left(outcome: Outcome, is_first: bool) -> Outcome:
    if is_first:
        return replace(outcome, reranked=0)
    raise _busy()


def _busy() -> Overloaded:
    return Overloaded("reranker_busy", "too many searches wait to be re-ranked", retry_after_s=1.0)
