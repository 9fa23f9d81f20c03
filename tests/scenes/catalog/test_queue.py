"""The queue: jobs enter with their transaction, lost workers give theirs back, its tables are kept current."""

import asyncio
import uuid
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from scenes.catalog import collections, jobs, queue
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import JobKind, JobRow
from scenes.catalog.migrations import migrate
from scenes.catalog.queue import Interrupted, open_queue
from scenes.collection import Collection
from scenes.errors import Conflict
from tests.scenes.catalog.schemas import is_current

pytestmark = pytest.mark.postgres
SOON = timedelta(seconds=0.5)


def spoken(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


async def start(catalog: Catalog, kind: JobKind = "ingest", key: str = "key_1") -> uuid.UUID:
    job_id = uuid.uuid4()
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="c"))
        await jobs.add(session, job_id, row.id, kind, "photos", key)
        await jobs.set_queue_job(session, job_id, await queue.enqueue(session, job_id, kind))
    return job_id


async def read(catalog: Catalog, job_id: uuid.UUID) -> JobRow:
    async with catalog.reading() as session:
        return await jobs.get(session, job_id)


async def begin(catalog: Catalog, job_id: uuid.UUID) -> JobRow:
    async with catalog.writing() as session:
        row = await jobs.begin(session, job_id)
    assert row is not None
    return row


async def test_a_job_is_done_once_and_leaves_the_queue(catalog: Catalog, database_url: str) -> None:
    wanted = {await start(catalog), await start(catalog, "index")}
    seen: list[uuid.UUID] = []

    async def handle(job_id: uuid.UUID) -> None:
        seen.append(job_id)

    async with (
        open_queue(spoken(database_url), handle, SOON) as one,
        open_queue(spoken(database_url), handle, SOON) as two,
    ):
        await asyncio.gather(one.work("long", wait=False), two.work("long", wait=False))
    assert sorted(seen, key=str) == sorted(wanted, key=str)
    async with catalog.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM procrastinate_jobs"))).scalar_one() == 0


async def test_a_transaction_that_fails_enqueues_nothing(catalog: Catalog, database_url: str) -> None:
    async def fail() -> None:
        async with catalog.writing() as session:
            await queue.enqueue(session, uuid.uuid4(), "ingest")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with catalog.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM procrastinate_jobs"))).scalar_one() == 0


async def test_an_interrupted_job_is_taken_again_and_a_broken_one_is_not(catalog: Catalog, database_url: str) -> None:
    await start(catalog)
    raised: list[Exception] = [Interrupted(), ZeroDivisionError()]
    tried = 0

    async def handle(_job: uuid.UUID) -> None:
        nonlocal tried
        tried += 1
        raise raised.pop(0)

    async with open_queue(spoken(database_url), handle, SOON) as one:
        await one.work("long", wait=False)
        await one.work("long", wait=False)
    assert tried == 2


async def test_what_a_lost_worker_held_is_taken_again_and_given_up_after_five(
    catalog: Catalog, database_url: str
) -> None:
    job_id = await start(catalog)

    async def handle(_job: uuid.UUID) -> None:
        raise AssertionError("not in this test")

    async with open_queue(spoken(database_url), handle, SOON) as one:
        given_up: list[list[uuid.UUID]] = []
        for _ in range(queue.MOST_ATTEMPTS):
            async with catalog.writing() as session:  # a worker takes it and is never heard of again
                await session.execute(text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = NULL"))
            given_up.append(await one.rescue())
        assert given_up == [[], [], [], [], [job_id]]
        assert await one.rescue() == []


async def test_a_live_worker_is_counted_and_keeps_its_job(catalog: Catalog, database_url: str) -> None:
    job_id = await start(catalog)
    taken, over = asyncio.Event(), asyncio.Event()

    async def handle(_job: uuid.UUID) -> None:
        taken.set()
        await over.wait()

    async with open_queue(spoken(database_url), handle, SOON) as one:
        working = asyncio.create_task(one.work("long", wait=False))
        await asyncio.wait_for(taken.wait(), 10)
        await asyncio.sleep(1.0)
        assert await one.rescue() == []
        async with catalog.reading() as session:
            assert await queue.workers_alive(session, SOON) == 1
        over.set()
        await working
    assert (await read(catalog, job_id)).state == "queued"  # the handler's to say


async def test_only_the_attempt_that_holds_a_job_writes(catalog: Catalog) -> None:
    job_id = await start(catalog)
    lost, held = await begin(catalog, job_id), await begin(catalog, job_id)
    async with catalog.writing() as session:
        assert await jobs.mirror(session, lost, {"described": 9}, {})
        assert not await jobs.mirror(session, held, {"described": 2}, {})
        assert not await jobs.end(session, lost, "failed")
        assert await jobs.end(session, held, "done")
        assert await jobs.begin(session, job_id) is None
    row = await read(catalog, job_id)
    assert (row.state, row.counts, row.attempt) == ("done", {"described": 2}, 2)


async def test_a_cancelled_job_that_waited_is_over_and_one_that_runs_is_asked(catalog: Catalog) -> None:
    waiting, running = await start(catalog), await start(catalog)
    row = await begin(catalog, running)
    async with catalog.writing() as session:
        assert (await jobs.cancel(session, waiting)).state == "cancelled"
        assert (await jobs.cancel(session, running)).state == "running"
        assert await jobs.mirror(session, row, {}, {})
    async with catalog.writing() as session:
        with pytest.raises(Conflict) as told:
            await jobs.cancel(session, waiting)
    assert told.value.code == "job_over"


async def test_the_key_of_an_upload_goes_with_its_outcome(catalog: Catalog) -> None:
    job_id = await start(catalog, "upload")
    async with catalog.writing() as session:
        await jobs.add_upload(session, job_id, b"k" * 32, "0" * 64)
    row = await begin(catalog, job_id)
    async with catalog.writing() as session:
        assert await jobs.upload_key(session, job_id) == b"k" * 32
        assert await jobs.alive(session, [job_id]) == {job_id}
        await jobs.end(session, row, "done")
        assert await jobs.upload_key(session, job_id) is None
        assert await jobs.alive(session, [job_id]) == set()


async def test_migrations_of_the_library_are_applied_once(database_url: str) -> None:
    url = spoken(database_url)
    assert is_current(url)
    late = "03.03.00_01_pre_priority_lock_fetch_job.sql"
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP FUNCTION procrastinate_fetch_job_v2")
        connection.execute("DELETE FROM queue_migrations WHERE name = %s", [late])
    assert not is_current(url)
    migrate(url)
    assert is_current(url)
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_proc WHERE proname = 'procrastinate_fetch_job_v2'")
        assert found.fetchone() == (1,)
