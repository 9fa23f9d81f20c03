"""Progress as server-sent events: the job whenever it changed, until it is over."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

from app.jobs.bodies import job_body
from scenes.catalog import jobs
from scenes.catalog.engine import Catalog
from scenes.catalog.jobs import JobRow
from scenes.errors import Overloaded, WordsightError
from scenes.job import OVER

LOOK_EVERY_S = 0.5
LONGEST_S = 300.0
"""A stream ends then and the client asks again, so that a revoked key hears nothing for longer."""
_QUIET_S = 15.0
MOST_STREAMS = 64


class Streams:
    """Counts the open streams of this process."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._open = 0

    def check(self) -> None:
        """Raises `Overloaded` (`too_many_streams`)."""
        if self._open >= self._most:
            raise Overloaded(
                "too_many_streams", "too many clients follow jobs here", retry_after_s=5.0, fix="ask with follow=false"
            )

    async def follow(self, catalog: Catalog, job: JobRow, *, follow: bool) -> AsyncIterator[bytes]:
        """One event now and one a change; where the catalog can't be asked, the stream ends."""
        self._open += 1
        try:
            async for event in _events(catalog, job, follow=follow):
                yield event
        finally:
            self._open -= 1


async def _events(catalog: Catalog, job: JobRow, *, follow: bool) -> AsyncIterator[bytes]:
    yield _event(job)
    until, told = time.monotonic() + LONGEST_S, time.monotonic()
    while follow and job.state not in OVER and time.monotonic() < until:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            now = await _read(catalog, job.id)
        except WordsightError:
            return
        if _told(now) != _told(job):
            job, told = now, time.monotonic()
            yield _event(job)
        elif time.monotonic() - told > _QUIET_S:
            told = time.monotonic()
            yield b": still there\n\n"


async def _read(catalog: Catalog, job_id: UUID) -> JobRow:
    async with catalog.reading() as session:
        return await jobs.get(session, job_id)


def _told(job: JobRow) -> tuple[object, ...]:
    return job.state, job.counts, job.reasons, job.attempt, job.cancel_requested


def _event(job: JobRow) -> bytes:
    name = "end" if job.state in OVER else "progress"
    return f"event: {name}\nid: {job.updated_at.timestamp():.6f}\ndata: {job_body(job).model_dump_json()}\n\n".encode()
