"""Progress as server-sent events: the job whenever it changed, until it is over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from uuid import UUID

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.http.limits import Shares
from app.jobs.schemas import job_body
from scenes.catalog import jobs
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import OVER, JobRow
from scenes.errors import WordsightError

LOOK_EVERY_S = 0.5
LONGEST_S = 300.0
"""A stream ends then and the client asks again, so that a revoked key hears nothing for longer."""
_QUIET_S = 15.0
_QUIET = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """A job as server-sent events; where it is followed, it is one of the key's streams until it ends.

    Sending it raises `Overloaded` (`too_many_streams_of_key`, `too_many_streams`) before anything is sent.
    """

    def __init__(self, streams: Shares, key_id: str, catalog: Catalog, job: JobRow, *, follow: bool) -> None:
        super().__init__(_events(catalog, job, follow=follow), headers=_QUIET, media_type="text/event-stream")
        self._share = streams.used_by(key_id) if follow else nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._share:
            await super().__call__(scope, receive, send)


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
