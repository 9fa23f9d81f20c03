"""The job queue, on Postgres: the one door to procrastinate.

A job enters the queue in the transaction that stores it. Workers tell of themselves by a heartbeat; what a worker held
that tells nothing any more goes back into the queue.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import procrastinate
from procrastinate import exceptions, jobs, manager, retry
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout
from sqlalchemy import text

from scenes.catalog.connection import ReadSession, WriteSession, client_settings, session_settings
from scenes.catalog.jobs import JobKind
from scenes.catalog.refusals import refusal, unreachable

MOST_ATTEMPTS = 5
"""A job that loses so many workers is given up."""
MOST_WAITS = 8
"""An upload may go back into the queue so often to wait for its engine; the queue counts that as attempts, too."""
LANES: dict[JobKind, str] = {"ingest": "long", "publish": "long", "index": "long", "upload": "short"}
"""Uploads have a lane of their own: none waits behind a million images."""
_TASK = "wordsight"
_POOL_SIZE = 4
Handler = Callable[[UUID], Awaitable[None]]


class Interrupted(Exception):
    """A worker stops before its job's end: the job goes back into the queue, to be taken `again_in_s` later."""

    def __init__(self, again_in_s: float = 0.0) -> None:
        super().__init__()
        self.again_in_s = again_in_s


async def enqueue(session: WriteSession, job_id: UUID, kind: JobKind) -> int:
    """Put a job into the queue when this transaction commits; returns the queue's number of it."""
    job = jobs.Job(queue=LANES[kind], lock=None, queueing_lock=None, task_name=_TASK, task_kwargs={"job": str(job_id)})
    made = await _unopened().defer_job_async(job, connection=await _raw(session))
    assert made.id is not None  # noqa: S101 - the queue numbers what it takes
    return made.id


async def withdraw(session: WriteSession, queue_job: int) -> None:
    """Take a job that waits out of the queue when this transaction commits."""
    await _unopened().cancel_job_by_id_async(queue_job, delete_job=True, connection=await _raw(session))


async def workers_alive(session: ReadSession, within: timedelta) -> int:
    """How many workers have reported within a time; each lane of a worker reports for itself."""
    found = text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - CAST(:within AS interval)")
    reports = int((await session.execute(found, {"within": within})).scalar_one())
    return math.ceil(reports / len(set(LANES.values())))


class Queue:
    """The worker's side: takes jobs until it is stopped."""

    def __init__(self, app: procrastinate.App, lost_after: timedelta) -> None:
        self._app = app
        self._lost_after_s = lost_after.total_seconds()

    async def work(self, lane: str, *, wait: bool = True) -> None:
        """Do one job of a lane after the other; without `wait`, until none is left.

        Cancelled, it waits for the job in hand. Raises `EnvironmentMissing` (`postgres_unreachable`).
        """
        with _told_plainly():
            await self._app.run_worker_async(
                queues=[lane],
                name=lane,
                wait=wait,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=self._lost_after_s / 5,
                stalled_worker_timeout=self._lost_after_s,
            )

    async def rescue(self) -> list[UUID]:
        """Give the jobs of lost workers back to the queue; returns those that are given up for good.

        Raises `EnvironmentMissing` (`postgres_unreachable`).
        """
        with _told_plainly():
            lost = await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._lost_after_s)
        return [UUID(str(job.task_kwargs["job"])) for job in lost if await self._is_given_up(job)]

    async def _is_given_up(self, job: jobs.Job) -> bool:
        """A job that ended, or that another one gave back, meanwhile is neither."""
        waits = MOST_WAITS if job.queue == LANES["upload"] else 0
        lost_for_good = job.attempts + 1 >= MOST_ATTEMPTS + waits
        try:
            if lost_for_good:
                await self._app.job_manager.finish_job(job, jobs.Status.FAILED, delete_job=True)
            else:
                await self._app.job_manager.retry_job(job)
        except exceptions.ConnectorException:
            return False
        return lost_for_good


@asynccontextmanager
async def open_queue(url: str, handler: Handler, lost_after: timedelta) -> AsyncIterator[Queue]:
    """The queue of the catalog at a `postgresql+psycopg://` URL.

    Raises `EnvironmentMissing` (`postgres_unreachable`). What a handler raises besides `Interrupted` ends its job.
    """
    connector = procrastinate.PsycopgConnector(
        conninfo=url.replace("postgresql+psycopg://", "postgresql://", 1),
        min_size=1,
        max_size=_POOL_SIZE,
        kwargs=client_settings(),
        configure=_begin_session,
    )
    app = procrastinate.App(connector=connector)

    async def run(job: str) -> None:
        await handler(UUID(job))

    app.task(name=_TASK, retry=_Again())(run)
    with _told_plainly():
        await app.open_async()
    try:
        yield Queue(app, lost_after)
    finally:
        await app.close_async()


class _Again(retry.BaseRetryStrategy):
    """A job whose worker stops goes back; nothing else is tried again by the queue."""

    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> retry.RetryDecision | None:  # noqa: ARG002
        if not isinstance(exception, Interrupted):
            return None
        return retry.RetryDecision(retry_in={"seconds": round(exception.again_in_s)})


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except (exceptions.ConnectorException, PoolTimeout) as error:
        raise refusal(error) or unreachable(error) from error


async def _begin_session(connection: AsyncConnection[Any]) -> None:
    async with connection.transaction():
        await connection.execute(session_settings())


def _unopened() -> manager.JobManager:
    """What speaks through the connection of a session."""
    return manager.JobManager(procrastinate.PsycopgConnector())


async def _raw(session: WriteSession) -> Any:
    return (await session.connection.get_raw_connection()).driver_connection
