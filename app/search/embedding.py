"""A server embeds small changes by itself, so that what is written is found where no worker runs.

A worker that runs comes first: a server waits a moment, and steps aside while another process embeds. While searches
come, embedding gets a share of the time. Large backlogs are left to a worker, and reported.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from app.worker.attempt import POSTGRES_AWAY
from indexer.encoding.embedding import Bounds, Failures, embed_missing
from indexer.encoding.pacing import Pace
from indexer.releases.refresh import DELTA_MOST
from indexer.retrieval.encoders import Encoders, OpenEncoder
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, ReadSession
from scenes.catalog.embeddings import Backlog
from scenes.errors import NotFound, WordsightError

EVERY = timedelta(milliseconds=500)
"""How often collections are looked at."""
HEAD_START = timedelta(milliseconds=500)
"""A worker hears of a change at once; a server waits this long before it embeds."""
WARN_AFTER = timedelta(seconds=10)
"""What has waited for less is no reason for a warning."""
BATCH = 64
COMMIT_AFTER_S = 5.0
"""So many descriptions are stored at a time, or what is embedded after so many seconds: each commit makes searches read
again what they had cached."""
CHUNK = 4
"""So many are embedded at a time: a tenth of a second of one core, where each has a hundred words."""
_AGAIN_S = 30.0
_FULL_AGAIN_S = 5.0
_COUNT_SHARE = 0.05
"""Counting what waits takes at most this share of the time of one connection."""
_log = logging.getLogger(__name__)


class BacklogGauge(Protocol):
    """Shows what is not searchable yet."""

    def backlog_is(self, count: int, oldest_s: float) -> None: ...


@dataclass(slots=True)
class _Known:
    """What is known of one collection. `unsettled_at` is when it was seen to change, None where nothing waits at or
    below the generation `settled` but what the encoder failed on; times are monotonic seconds."""

    generation: int
    encoder: str | None
    unsettled_at: float | None
    failures: Failures
    fingerprint: str | None = None
    settled: int = 0
    backlog: Backlog = Backlog()
    counted_at: float = 0.0
    count_again_at: float = 0.0
    not_before: float = 0.0
    trouble: str | None = None

    def restart(self, now: float) -> None:
        """Forget all but the name: whatever waits is looked for from the beginning."""
        self.settled, self.unsettled_at, self.count_again_at = 0, now, 0.0
        self.failures.clear()

    def oldest_s(self, now: float) -> float:
        return self.backlog.oldest_s + now - self.counted_at if self.backlog.count else 0.0


class BackgroundEmbedding:
    """Embeds what waits in any collection, a batch at a time, and knows how much waits."""

    def __init__(
        self,
        catalog: Catalog,
        encoders: Encoders,
        gauge: BacklogGauge,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        most_beside: int = DELTA_MOST,
    ) -> None:
        """`share` of the time is spent on it while searches come; 0 embeds nothing and only reports. Beside a release
        there are up to `most_beside` images: every search scans them."""
        self._catalog = catalog
        self._encoders = encoders
        self._gauge = gauge
        self._clock = clock
        self._most_beside = most_beside
        self._rest = Pace(share, lambda: encoders.searches).rest if share else None
        self._known: dict[int, _Known] = {}

    @contextlib.asynccontextmanager
    async def running(self, every: timedelta = EVERY) -> AsyncIterator[None]:
        """Embed in the background until the block ends."""
        task = asyncio.create_task(self._forever(every))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def pending(self, session: ReadSession, collection: CollectionRow) -> int:
        """How many images of a collection are not searchable now."""
        return (await self._count(session, collection)).count

    def warnings(self) -> Iterator[tuple[int, str]]:
        """For each collection, by its number, whose images have waited for too long: what is known of it."""
        now = self._clock()
        for number, known in self._known.items():
            age_s = known.oldest_s(now)
            if age_s >= WARN_AFTER.total_seconds():
                yield number, _warning(known, age_s)

    async def tend_all(self) -> bool:
        """Embed a batch of each collection in which something waits; was anything embedded?

        Raises `EnvironmentMissing` and `Overloaded` where Postgres is away.
        """
        async with self._catalog.reading() as session:
            self._follow(await collections.all_heads(session))
        embedded = [await self._tend_or_report(number) for number in self._due()]
        now = self._clock()
        waiting = [one for one in self._known.values() if one.backlog.count]
        self._gauge.backlog_is(
            sum(one.backlog.count for one in waiting), max((one.oldest_s(now) for one in waiting), default=0.0)
        )
        return any(embedded)

    async def _forever(self, every: timedelta) -> None:
        while True:
            embedded = False
            try:
                embedded = await self.tend_all()
            except WordsightError as error:
                _log.warning("what is new is not embedded: %s", error.message)
            await asyncio.sleep(0 if embedded else every.total_seconds())

    def _follow(self, heads: dict[int, tuple[int, str | None]]) -> None:
        now = self._clock()
        for number in self._known.keys() - heads.keys():
            del self._known[number]
        for number, (generation, encoder) in heads.items():
            known = self._known.setdefault(number, _Known(-1, encoder, None, Failures(clock=self._clock)))
            if known.encoder != encoder:
                known.encoder, known.trouble, known.not_before = encoder, None, 0.0
                known.restart(now)
            if known.generation != generation:
                known.generation = generation
                known.unsettled_at = now if known.unsettled_at is None else known.unsettled_at

    def _due(self) -> list[int]:
        """Those to be looked at, the one that was looked at longest ago first."""
        now = self._clock()
        for known in self._known.values():
            fingerprint = self._encoders.fingerprint(known.encoder)
            if known.fingerprint != fingerprint or known.failures.have_lapsed():
                known.fingerprint = fingerprint
                known.restart(now)
        ready = now - HEAD_START.total_seconds()
        due = [
            (known.counted_at, number)
            for number, known in self._known.items()
            if known.unsettled_at is not None and known.unsettled_at <= ready and known.not_before <= now
        ]
        return [number for _, number in sorted(due)]

    async def _tend_or_report(self, number: int) -> bool:
        """Tend one collection; whatever goes wrong with it costs no other its turn."""
        known = self._known[number]
        try:
            return await self._tend(number, known)
        except NotFound:
            return False
        except WordsightError as error:
            if error.code in POSTGRES_AWAY:
                raise
            self._leave(number, known, error.code, error.message)
        except Exception as error:  # noqa: BLE001 - reported, and tried again later
            self._leave(number, known, type(error).__name__, type(error).__name__)
        return False

    def _leave(self, number: int, known: _Known, code: str, message: str) -> None:
        if known.trouble is None:
            _log.error("collection %d is not embedded by this server: %s", number, message)
        known.trouble = f"it can't be embedded ({code})"
        known.not_before = self._clock() + _AGAIN_S

    async def _tend(self, number: int, known: _Known) -> bool:
        async with self._catalog.consistent() as session:
            row = await collections.by_id(session, number)
            await self._look(session, row, known)
        if known.unsettled_at is None:
            return False
        if self._rest is None:
            known.trouble = "this server embeds nothing: start wordsight worker"
            return False
        encoder = await self._encoders.of(row.settings.encoder)
        room = await self._room(row, encoder)
        if not room:
            known.trouble = f"a server keeps up to {self._most_beside:,} beside a release: start wordsight worker"
            known.not_before = self._clock() + _FULL_AGAIN_S
            return False
        failed = len(known.failures)
        done = await embed_missing(
            self._catalog,
            number,
            encoder.encoder,
            above=known.settled if known.fingerprint == encoder.fingerprint else 0,
            bounds=Bounds(BATCH, CHUNK, COMMIT_AFTER_S, min(room, BATCH), aside=True, rest=self._rest),
            failures=known.failures,
        )
        known.trouble = None
        known.backlog = replace(known.backlog, count=max(0, known.backlog.count - done))
        if len(known.failures) > failed:
            known.count_again_at = 0.0
        return done > 0

    async def _look(self, session: ReadSession, row: CollectionRow, known: _Known) -> None:
        """Count what waits, unless that was done a moment ago and some of it is left."""
        began = self._clock()
        if known.backlog.count > known.backlog.failed and began < known.count_again_at:
            return
        known.backlog = await self._count(session, row)
        known.counted_at = self._clock()
        known.count_again_at = known.counted_at + (known.counted_at - began) / _COUNT_SHARE
        if known.backlog.count == known.backlog.failed:
            known.settled, known.unsettled_at, known.trouble = row.generation, None, None

    async def _count(self, session: ReadSession, row: CollectionRow) -> Backlog:
        known, fingerprint = self._known.get(row.id), self._encoders.fingerprint(row.settings.encoder)
        if known is None or known.fingerprint != fingerprint or known.encoder != row.settings.encoder:
            return await embeddings.backlog(session, row, fingerprint)
        return await embeddings.backlog(session, row, fingerprint, above=known.settled, failed=known.failures.ids)

    async def _room(self, row: CollectionRow, encoder: OpenEncoder) -> int:
        """How many more images may be searched beside the release."""
        async with self._catalog.reading() as session:
            release = await releases.active(session, row.id)
            above = release.generation if release is not None and release.encoder == encoder.fingerprint else 0
            most, fingerprint = self._most_beside, encoder.fingerprint
            return most - await embeddings.count_beside(session, row.id, fingerprint, above, most)


def _warning(known: _Known, age_s: float) -> str:
    count = known.backlog.count
    images = "1 image is" if count == 1 else f"{count:,} images are"
    told = f"{images} stored but not searchable yet, the oldest for {age_s:.0f} s"
    if known.trouble is not None:
        told += f"; {known.trouble}"
    if known.failures:
        told += f"; the encoder failed on some of them ({known.failures.summary()})"
    return told
