"""Jobs: who asked for what, how far it is, how it ended. What a worker writes names its attempt, so that one that
was given up as lost changes nothing any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, insert, select, text, update

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import collections, jobs, uploads
from scenes.errors import Conflict, NotFound, WordsightError

JobKind = Literal["ingest", "publish", "index", "upload"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: tuple[JobState, ...] = ("done", "failed", "cancelled")
KEPT = timedelta(days=30)
_STARTERS = 0x6A6F6273


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the catalog knows it; `number` orders jobs by age, `attempt` counts the workers that took it."""

    id: UUID
    number: int
    collection_id: int
    collection: str
    kind: JobKind
    source: str | None
    state: JobState
    key_id: str
    counts: dict[str, int]
    reasons: dict[str, int]
    error: dict[str, Any] | None
    attempt: int
    cancel_requested: bool
    queue_job: int | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    image_id: str | None


def stored_error(error: WordsightError) -> Mapping[str, Any]:
    """An error as a job keeps it."""
    return {"code": error.code, "message": error.message, "fix": error.fix}


async def add(
    session: WriteSession, job_id: UUID, collection_id: int, kind: JobKind, source: str | None, key_id: str
) -> None:
    """A job that waits."""
    values = {"id": job_id, "collection_id": collection_id, "kind": kind, "source": source, "key_id": key_id}
    await session.execute(insert(jobs).values(**values))


async def set_queue_job(session: WriteSession, job_id: UUID, queue_job: int) -> None:
    """Remember the number under which the queue knows a job."""
    await session.execute(update(jobs).where(jobs.c.id == job_id).values(queue_job=queue_job))


async def unfinished_of(session: WriteSession, key_id: str) -> int:
    """How many jobs of a key are not over; other starters of the same key wait until this transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(:space, hashtext(:key))"), {"space": _STARTERS, "key": key_id}
    )
    mine = select(func.count()).where(jobs.c.key_id == key_id, jobs.c.state.not_in(OVER))
    return int((await session.execute(mine)).scalar_one())


async def get(session: ReadSession, job_id: UUID) -> JobRow:
    """Raises `NotFound` (`job_unknown`)."""
    row = (await session.execute(_rows().where(jobs.c.id == job_id))).one_or_none()
    if row is None:
        raise NotFound("job_unknown", f"there is no job {job_id}")
    return _as_row(row)


async def page(
    session: ReadSession,
    collection: str | None,
    *,
    state: JobState | None = None,
    before: int = 2**62,
    limit: int = 100,
) -> list[JobRow]:
    """Jobs of a collection (None: of all), the newest first, those numbered below `before`."""
    found = _rows().where(jobs.c.number < before).order_by(jobs.c.number.desc()).limit(limit)
    if collection is not None:
        found = found.where(collections.c.name == collection)
    if state is not None:
        found = found.where(jobs.c.state == state)
    return [_as_row(row) for row in await session.execute(found)]


async def begin(session: WriteSession, job_id: UUID) -> JobRow | None:
    """A worker takes a job: its next attempt; None where the job is over or gone."""
    taken = update(jobs).where(jobs.c.id == job_id, jobs.c.state.not_in(OVER))
    started = func.coalesce(jobs.c.started_at, func.now())
    values = {"state": "running", "attempt": jobs.c.attempt + 1, "started_at": started, "updated_at": func.now()}
    done = await session.execute(taken.values(values).returning(jobs.c.id))
    return None if done.one_or_none() is None else await get(session, job_id)


async def mirror(session: WriteSession, job: JobRow, counts: Mapping[str, int], reasons: Mapping[str, int]) -> bool:
    """Tell how far this attempt is. Returns whether it should stop: it was cancelled, taken by another, or is gone."""
    values = {"counts": dict(counts), "reasons": dict(reasons), "updated_at": func.now()}
    told = update(jobs).where(_mine(job)).values(values).returning(jobs.c.cancel_requested)
    return (await session.execute(told)).scalar_one_or_none() is not False


async def should_stop(session: ReadSession, job: JobRow) -> bool:
    """What `mirror` returns, where there is nothing to tell."""
    found = await session.execute(select(jobs.c.cancel_requested).where(_mine(job)))
    return found.scalar_one_or_none() is not False


async def end(session: WriteSession, job: JobRow, state: JobState, error: Mapping[str, Any] | None = None) -> bool:
    """This attempt is the last; the key of its upload is deleted. False where it is not this attempt's to say."""
    values = {"state": state, "error": error, "ended_at": func.now(), "updated_at": func.now()}
    done = await session.execute(update(jobs).where(_mine(job)).values(values).returning(jobs.c.id))
    if done.one_or_none() is None:
        return False
    await _forget_key(session, job.id)
    return True


async def give_back(session: WriteSession, job: JobRow) -> None:
    """This attempt ends early; another worker goes on."""
    values = {"state": "queued", "updated_at": func.now()}
    await session.execute(update(jobs).where(_mine(job)).values(values))


async def cancel(session: WriteSession, job_id: UUID) -> JobRow:
    """Ask a job to stop; one that waits is over at once. Raises `NotFound`, `Conflict` (`job_over`)."""
    await session.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    job = await get(session, job_id)
    if job.state in OVER:
        raise Conflict("job_over", f"this job is {job.state} already")
    now = {"updated_at": func.now(), "cancel_requested": True}
    if job.state == "queued":
        now |= {"state": "cancelled", "ended_at": func.now()}
        await _forget_key(session, job_id)
    await session.execute(update(jobs).where(jobs.c.id == job_id).values(now))
    return await get(session, job_id)


async def give_up(session: WriteSession, job_id: UUID, error: Mapping[str, Any]) -> None:
    """A job that no worker survives has failed; nothing is done where it is gone."""
    row = (await session.execute(_rows().where(jobs.c.id == job_id))).one_or_none()
    if row is not None:
        await end(session, _as_row(row), "failed", error)


async def add_upload(session: WriteSession, job_id: UUID, key: bytes, image_id: str) -> None:
    """The wrapped key of an image that waits, encrypted, to be described."""
    await session.execute(insert(uploads).values(job_id=job_id, key=key, image_id=image_id))


async def upload_key(session: ReadSession, job_id: UUID) -> bytes | None:
    """The wrapped key of an uploaded image; None where it is lost or the job is over."""
    found = await session.execute(select(uploads.c.key).where(uploads.c.job_id == job_id))
    key = found.scalar_one_or_none()
    return None if key is None else bytes(key)


async def alive(session: ReadSession, job_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these jobs exist and are not over: what they keep on disk is still needed."""
    found = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.state.not_in(OVER))
    return {job_id for (job_id,) in await session.execute(found)}


async def purge(session: WriteSession) -> int:
    """Delete what has been over for a month; returns how many."""
    return (await session.execute(delete(jobs).where(jobs.c.ended_at < func.now() - KEPT))).rowcount


async def _forget_key(session: WriteSession, job_id: UUID) -> None:
    await session.execute(update(uploads).where(uploads.c.job_id == job_id).values(key=None))


def _mine(job: JobRow) -> ColumnElement[bool]:
    return and_(jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.state.not_in(OVER))


def _rows() -> Select[Any]:
    joined = jobs.join(collections, collections.c.id == jobs.c.collection_id)
    name = collections.c.name.label("collection")
    return select(jobs, name, uploads.c.image_id).select_from(joined.outerjoin(uploads, uploads.c.job_id == jobs.c.id))


def _as_row(row: Row[Any]) -> JobRow:
    return JobRow(**{name: getattr(row, name) for name in JobRow.__slots__})
