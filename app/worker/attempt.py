"""One attempt at a job: taken, mirrored while it runs, ended or given back. What is done is injected."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from scenes.catalog import jobs
from scenes.catalog.connection import Catalog, WriteSession
from scenes.catalog.jobs import JobRow, JobState, stored_error
from scenes.catalog.queue import MOST_WAITS, Interrupted
from scenes.errors import WordsightError
from scenes.faults import trace_of
from scenes.outcome import FailureReason

MIRROR_EVERY_S = 1.0
AGAIN_S = 1.0
LATE_S = 6.0
"""A job that was asked to stop and still runs after so long goes back into the queue as it is."""
_AFTER_A_FAULT_S = 60.0
_FAULT = {"code": "internal_error", "message": "the worker failed; its log says more", "fix": None}
UNANSWERED = frozenset({FailureReason.ENGINE_ERROR.value, FailureReason.TIMEOUT.value})
"""Failures that say nothing of the image."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 120.0
POSTGRES_AWAY = frozenset({"postgres_unreachable", "postgres_busy"})


class Stopped(Exception):
    """The work ended before its end, as `Report.should_stop` asked."""


class Unanswered(Exception):
    """The job can't be done now, as `why` says, and is tried again `again_in_s` seconds later."""

    def __init__(self, again_in_s: float, why: str) -> None:
        super().__init__(why)
        self.again_in_s = again_in_s
        self.why = why


def be_patient(job: JobRow, why: str = "the engine does not answer") -> None:
    """Raises `Unanswered` while an upload may wait: some six minutes in all, besides what the engine itself tries."""
    if job.kind == "upload" and job.attempt <= MOST_WAITS:
        raise Unanswered(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (job.attempt - 1)), why)


class Report:
    """How a job's work goes; told by the thread that does it, read by the loop that mirrors it."""

    def __init__(self) -> None:
        self.counts: Mapping[str, int] = {}
        self.reasons: Mapping[str, int] = {}
        self.mirrored: tuple[Mapping[str, int], Mapping[str, int]] | None = None
        self._stop = threading.Event()

    def tell(self, counts: Mapping[str, int], reasons: Mapping[str, int] | None = None) -> None:
        """The counts so far."""
        self.counts, self.reasons = counts, reasons or {}

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()


Perform = Callable[[JobRow, Report], Awaitable[None]]
"""Does a job's work. Raises `Stopped`, `Unanswered`, and `WordsightError` where the job fails."""


@dataclass(frozen=True, slots=True)
class Room:
    """What surrounds a job: `tidy` removes what it kept on disk, once it is over."""

    perform: Perform
    tidy: Callable[[UUID], None]
    say: Callable[[str], None]


class Runner:
    """Takes jobs from the queue, one a lane, until it is stopped."""

    def __init__(self, catalog: Catalog, room: Room) -> None:
        self._catalog = catalog
        self._room = room
        self._reports: set[Report] = set()
        self._stopping_since: float | None = None

    def stop(self) -> None:
        """End what is in hand soon; it goes back into the queue."""
        self._stopping_since = self._stopping_since or time.monotonic()
        for report in self._reports:
            report.stop()

    async def run(self, job_id: UUID) -> None:
        """One attempt. Raises `Interrupted` where the job must be taken again; after an error that nobody foresaw the
        job has failed."""
        try:
            await self._run(job_id)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - it must not cost the queue its worker; it is reported
            await self._give_up(job_id, error)

    async def _run(self, job_id: UUID) -> None:
        job = await self._insist(lambda session: jobs.begin(session, job_id))
        if job is None:
            self._room.tidy(job_id)
            return
        report = Report()
        self._reports.add(report)
        try:
            await self._attend(job, report)
        finally:
            self._reports.discard(report)

    async def _attend(self, job: JobRow, report: Report) -> None:
        if self._stopping_since is not None:
            report.stop()
        await self._mirror(job, report)
        work = asyncio.ensure_future(self._room.perform(job, report))
        while not work.done():
            await asyncio.wait({work}, timeout=MIRROR_EVERY_S)
            await self._mirror(job, report)
            if self._is_late():
                work.cancel()
        await self._end(job, Stopped() if work.cancelled() else work.exception())

    async def _mirror(self, job: JobRow, report: Report) -> None:
        """Where Postgres is away, the next turn tells it."""
        counts, reasons = report.counts, report.reasons
        try:
            async with self._catalog.writing() as session:
                if (counts, reasons) == report.mirrored:
                    stop = await jobs.should_stop(session, job)
                else:
                    stop = await jobs.mirror(session, job, counts, reasons)
            report.mirrored = counts, reasons
            if stop:
                report.stop()
        except WordsightError as error:
            self._room.say(f"job {job.id}: {error}")

    async def _end(self, job: JobRow, error: BaseException | None) -> None:
        if _goes_back(error) or (isinstance(error, Stopped) and self._stopping_since is not None):
            await self._insist(lambda session: jobs.give_back(session, job))
            raise Interrupted
        if isinstance(error, Unanswered):
            await self._insist(lambda session: jobs.give_back(session, job))
            self._room.say(f"job {job.id}: {error.why}; again in {error.again_in_s:g} s")
            raise Interrupted(error.again_in_s)
        state, why = self._verdict(job, error)
        if await self._insist(lambda session: jobs.end(session, job, state, why)):
            self._room.tidy(job.id)
            self._room.say(f"job {job.id} ({job.kind} into {job.collection}): {why['message'] if why else state}")

    def _verdict(self, job: JobRow, error: BaseException | None) -> tuple[JobState, Mapping[str, Any] | None]:
        if error is None:
            return "done", None
        if isinstance(error, Stopped):
            return "cancelled", None
        if isinstance(error, WordsightError):
            return "failed", stored_error(error)
        self._room.say(f"job {job.id}: {trace_of(error)}")
        return "failed", _FAULT

    async def _give_up(self, job_id: UUID, error: Exception) -> None:
        """The job has failed. Raises `Interrupted` where not even that can be stored."""
        self._room.say(f"job {job_id}: an unforeseen error\n{trace_of(error)}")
        try:
            await self._insist(lambda session: jobs.give_up(session, job_id, _FAULT))
        except Exception as again:
            raise Interrupted(_AFTER_A_FAULT_S) from again

    def _is_late(self) -> bool:
        return self._stopping_since is not None and time.monotonic() - self._stopping_since > LATE_S

    async def _insist(self, write: Callable[[WriteSession], Awaitable[Any]]) -> Any:
        """Write until Postgres takes it. Raises `Interrupted` where it does not and the worker has to stop."""
        while True:
            try:
                async with self._catalog.writing() as session:
                    return await write(session)
            except WordsightError as error:
                if error.code not in POSTGRES_AWAY:
                    raise
                if self._is_late():
                    raise Interrupted from error
                self._room.say(f"{error}; trying again")
                await asyncio.sleep(AGAIN_S)


def _goes_back(error: BaseException | None) -> bool:
    return isinstance(error, WordsightError) and error.code in POSTGRES_AWAY
