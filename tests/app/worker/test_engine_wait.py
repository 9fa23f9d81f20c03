"""The captioner's server is killed while an uploaded image is described: the image waits for it and is not lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from app.http.security import Secret
from app.jobs.service import Desk
from app.uploads.spool import Spool
from app.worker import attempt
from scenes.catalog import collections, jobs
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import JobRow
from tests.app.jobs.working import config, make_collection, shift_of
from tests.captioner.conftest import png
from tests.captioner.scripted_server import scripted
from tests.test_readme import free_port

pytestmark = [pytest.mark.postgres, pytest.mark.http]


async def upload(desk: Desk, data: bytes) -> JobRow:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    job_id = uuid.uuid4()
    sealed = await desk.spool.take(job_id, chunks())
    async with desk.catalog.reading() as session:
        row = await collections.get(session, "pets")
    return await desk.start_upload(job_id, row, sealed, None, "key_1")


async def until(catalog: Catalog, job: JobRow, true: Callable[[JobRow], bool]) -> JobRow:
    async with asyncio.timeout(60):
        while True:
            async with catalog.reading() as session:
                now = await jobs.get(session, job.id)
            if true(now):
                return now
            await asyncio.sleep(0.05)


async def test_an_upload_waits_for_an_engine_that_was_killed(
    catalog: Catalog, home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_FIRST_WAIT_S", 1.0)
    await make_collection(catalog)
    port, said = free_port(), list[str]()
    settings = config(home, database_url, f"http://127.0.0.1:{port}/v1")
    desk = Desk(catalog, Spool(settings.spool, Secret.load(settings.home)))
    async with shift_of(catalog, settings, said) as shift:
        working = asyncio.create_task(shift.keep(timedelta(seconds=0.5)))
        with scripted(port=port, latency=30):
            job = await upload(desk, png((1, 2, 3)))
            await until(catalog, job, lambda now: now.state == "running")
            await asyncio.sleep(0.5)
        waiting = await until(catalog, job, lambda now: now.state == "queued")
        assert (waiting.attempt, waiting.reasons) == (1, {"engine_error": 1})
        assert desk.spool.older_than(0) == [job.id]
        with scripted(port=port, latency=0.01):
            done = await until(catalog, job, lambda now: now.ended_at is not None)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert (done.state, done.counts["described"], done.counts["failed"]) == ("done", 1, 0)
    assert done.attempt >= 2
    assert desk.spool.older_than(0) == []


async def test_patience_has_an_end_and_only_uploads_have_it(catalog: Catalog, home: Path, database_url: str) -> None:
    await make_collection(catalog)
    settings = config(home, database_url, f"http://127.0.0.1:{free_port()}/v1")
    desk, said = Desk(catalog, Spool(settings.spool, Secret.load(settings.home))), list[str]()
    job = await upload(desk, png((1, 2, 3)))
    async with catalog.writing() as session:
        for _ in range(attempt.MOST_WAITS):
            assert await jobs.begin(session, job.id)
    async with shift_of(catalog, settings, said) as shift:
        await shift.once()
    async with catalog.reading() as session:
        done = await jobs.get(session, job.id)
    assert (done.state, done.reasons) == ("done", {"engine_error": 1})
    assert desk.spool.older_than(0) == []
