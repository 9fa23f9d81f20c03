"""A worker's shift: a lane for long jobs, one for uploads; lost workers' jobs go back, leftovers are swept."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.worker.attempt import POSTGRES_AWAY, Runner
from app.worker.fault_limit import FaultLimit
from scenes.catalog import jobs
from scenes.catalog.connection import Catalog
from scenes.catalog.queue import LANES, Queue
from scenes.errors import EnvironmentMissing, WordsightError
from scenes.faults import trace_of

_AGAIN_S = 2.0
_GIVEN_UP = EnvironmentMissing(
    "worker_lost", "every worker that took this job was lost", fix="read the worker's log; memory is a usual reason"
)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What jobs keep on disk: `old` lists the jobs that do, written some time ago; `drop` removes it."""

    old: Callable[[], list[UUID]]
    drop: Callable[[UUID], None]


class Shift:
    """Does the jobs of one queue."""

    def __init__(
        self, catalog: Catalog, queue: Queue, runner: Runner, leftovers: Leftovers, say: Callable[[str], None]
    ) -> None:
        self._catalog, self._queue = catalog, queue
        self._runner, self._leftovers, self._say = runner, leftovers, say

    async def once(self) -> None:
        """Do what waits now, and end."""
        await self.look_after()
        async with asyncio.TaskGroup() as group:
            for lane in sorted(set(LANES.values())):
                group.create_task(self._work(lane, wait=False))

    async def keep(self, every: timedelta) -> None:
        """Do what comes until cancelled; the job in hand then goes back into the queue.

        An error that nobody foresaw is reported, and the lane goes on, unless one follows the other.
        """
        async with asyncio.TaskGroup() as group:
            for lane in sorted(set(LANES.values())):
                group.create_task(self._keep_lane(lane))
            group.create_task(self._keep_looking(every))

    async def look_after(self) -> None:
        """Rescue what lost workers held and sweep what ended jobs left. Raises `EnvironmentMissing`."""
        for job_id in await self._queue.rescue():
            async with self._catalog.writing() as session:
                await jobs.give_up(session, job_id, jobs.stored_error(_GIVEN_UP))
        old = self._leftovers.old()
        async with self._catalog.writing() as session:
            await jobs.purge(session)
            needed = await jobs.alive(session, old)
        for job_id in set(old) - needed:
            self._leftovers.drop(job_id)

    async def _keep_lane(self, lane: str) -> None:
        limit = FaultLimit(self._say)
        while True:
            try:
                await self._work(lane)
            except WordsightError as error:
                if error.code not in POSTGRES_AWAY:
                    raise
            except Exception as error:  # noqa: BLE001 - the lane outlives it; it is reported, and bounded
                limit.met(f"the {lane} lane", error)
            await asyncio.sleep(_AGAIN_S)

    async def _work(self, lane: str, *, wait: bool = True) -> None:
        """Work on a lane. Cancelled, it stops the job in hand and waits for it."""
        work = asyncio.ensure_future(self._queue.work(lane, wait=wait))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._runner.stop()
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await work
            raise

    async def _keep_looking(self, every: timedelta) -> None:
        """A loop that was held up leaves out a turn: its own heartbeats come first."""
        looked = time.monotonic()
        while True:
            if time.monotonic() - looked < 2 * every.total_seconds():
                await self._look_or_report()
            looked = time.monotonic()
            await asyncio.sleep(every.total_seconds())

    async def _look_or_report(self) -> None:
        try:
            await self.look_after()
        except WordsightError:
            pass  # Postgres is away: the next turn does it
        except Exception as error:  # noqa: BLE001 - the next turn tries again; it is reported
            self._say(f"lost jobs and leftovers: an unforeseen error; trying again\n{trace_of(error)}")
