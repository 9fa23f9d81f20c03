"""That no worker lives is seen: a warning of a server that is ready, and a metric. Loops outlive unforeseen errors."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.health.endpoints import NO_WORKER
from app.http.telemetry.metrics import Metrics
from app.search.expiry import purging
from app.worker.alive import counting_workers
from app.worker.attempt import Room, Runner
from app.worker.worker_loop import Leftovers, Shift
from scenes.catalog import collections, jobs, queue
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import JobRow
from scenes.catalog.queue import open_queue
from scenes.collection import Collection
from tests.app.live import heartbeat, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
SECRET = "words of a user"
SOON = timedelta(seconds=0.05)


async def test_a_ready_server_warns_until_a_worker_lives(catalog: Catalog, database_url: str, home: Path) -> None:
    with live(database_url, home) as server, server.client() as client:
        before = await asyncio.to_thread(client.get, "/readyz")
        await heartbeat(catalog.url)
        after = await asyncio.to_thread(client.get, "/readyz")
    assert (before.status_code, before.json()["warnings"]) == (200, [NO_WORKER])
    assert (after.status_code, after.json()["warnings"]) == (200, [])


async def test_workers_are_counted_once_each_and_as_a_metric(catalog: Catalog) -> None:
    metrics = Metrics()

    async def counted(n: int) -> None:
        async with asyncio.timeout(20):
            while f"wordsight_workers_alive {n}.0" not in metrics.text().decode():  # noqa: ASYNC110 - found by a task
                await asyncio.sleep(0.05)

    lanes = len(set(queue.LANES.values()))
    async with counting_workers(catalog, timedelta(seconds=30), metrics.workers_alive.set, SOON):
        await counted(0)
        for _ in range(2 * lanes):
            await heartbeat(catalog.url)
        await counted(2)
        async with catalog.writing() as session:
            await session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"))
        await counted(0)


async def job_in(catalog: Catalog) -> JobRow:
    job_id = uuid4()
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="c"))
        await jobs.add(session, job_id, row.id, "index", None, "key")
        await jobs.set_queue_job(session, job_id, await queue.enqueue(session, job_id, "index"))
        return await jobs.get(session, job_id)


async def state_of(catalog: Catalog, job: JobRow) -> JobRow:
    async with catalog.reading() as session:
        return await jobs.get(session, job.id)


async def test_an_error_beside_the_work_of_a_job_fails_the_job_and_the_lane_goes_on(catalog: Catalog) -> None:
    said = list[str]()
    broken, fine = await job_in(catalog), await job_in(catalog)

    async def perform(_job: JobRow, _report: object) -> None: ...

    def tidy(job_id: object) -> None:
        if job_id == broken.id:
            raise OSError(SECRET)

    runner = Runner(catalog, Room(perform, tidy, said.append))
    async with open_queue(catalog.url, runner.run, timedelta(seconds=5)) as work:
        shift = Shift(catalog, work, runner, Leftovers(list, tidy), said.append)
        async with asyncio.timeout(30):
            await shift.once()
    assert (await state_of(catalog, fine)).state == "done"
    assert (await state_of(catalog, broken)).state == "done"  # it was done; only what it left could not be removed
    assert any("unforeseen error" in line and "OSError" in line for line in said)
    assert not any(SECRET in line for line in said)


async def test_a_job_whose_attempt_breaks_has_failed(catalog: Catalog) -> None:
    said = list[str]()
    job = await job_in(catalog)
    async with catalog.writing() as session:  # what the queue can store, and a job's row can't
        await session.execute(text("ALTER TABLE jobs ADD CONSTRAINT broken CHECK (attempt < 1 OR state <> 'running')"))

    async def perform(_job: JobRow, _report: object) -> None: ...

    runner = Runner(catalog, Room(perform, lambda _: None, said.append))
    async with open_queue(catalog.url, runner.run, timedelta(seconds=5)) as work:
        shift = Shift(catalog, work, runner, Leftovers(list, lambda _: None), said.append)
        async with asyncio.timeout(30):
            await shift.once()
    ended = await state_of(catalog, job)
    assert (ended.state, ended.error and ended.error["code"]) == ("failed", "internal_error")


async def test_looking_for_leftovers_outlives_errors(catalog: Catalog) -> None:
    said = list[str]()

    async def perform(_job: JobRow, _report: object) -> None: ...

    def old() -> list[object]:
        raise OSError("a folder that can't be read")

    runner = Runner(catalog, Room(perform, lambda _: None, said.append))
    async with open_queue(catalog.url, runner.run, timedelta(seconds=5)) as work:
        shift = Shift(catalog, work, runner, Leftovers(old, lambda _: None), said.append)  # type: ignore[arg-type]
        keeping = asyncio.create_task(shift.keep(SOON))
        async with asyncio.timeout(20):
            while len(said) < 3:  # noqa: ASYNC110 - said by a task
                await asyncio.sleep(0.02)
        job = await job_in(catalog)
        async with asyncio.timeout(20):
            while (await state_of(catalog, job)).state != "done":  # noqa: ASYNC110 - done by a task
                await asyncio.sleep(0.05)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping


async def test_purging_goes_on_after_an_error(catalog: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    async with catalog.writing() as session:
        await session.execute(text("ALTER TABLE searches RENAME TO hidden"))
    async with purging(catalog, SOON), asyncio.timeout(20):
        while len(caplog.records) < 2:  # noqa: ASYNC110 - logged by a task
            await asyncio.sleep(0.02)
    assert all("not purged" in record.getMessage() for record in caplog.records)
