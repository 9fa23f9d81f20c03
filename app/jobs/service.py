"""Starting and cancelling jobs: bounded for each key, stored and queued in one transaction."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from app.http.transaction import writing
from app.uploads.spool import Sealed, Spool
from scenes.allowed.sources import check_source
from scenes.catalog import audit, collections, jobs, queue
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, ReadSession, WriteSession
from scenes.catalog.jobs import JobKind, JobRow
from scenes.errors import BadInput, Conflict, Overloaded

_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Where jobs are asked for. `sources` may be named by clients; a key may have `most_per_key` jobs unfinished."""

    catalog: Catalog
    spool: Spool
    sources: tuple[str, ...] = ()
    most_per_key: int = 64
    lost_after: timedelta = timedelta(seconds=30)

    async def start(self, kind: JobKind, collection: str, source: str | None, key_id: str) -> JobRow:
        """A new job.

        Raises `NotFound` (`collection_unknown`), `Forbidden` (`source_not_allowed`), `BadInput` (`engine_not_chosen`),
        `Overloaded` (`too_many_jobs`).
        """
        if source is not None:
            check_source(source, self.sources)
        job_id = uuid4()
        async with writing(self.catalog) as session:
            row = await collections.get(session, collection)
            if kind == "ingest":
                _check_engine(row)
            await self._store(session, job_id, row, kind, source, key_id)
            return await jobs.get(session, job_id)

    async def check_upload(self, collection: str) -> CollectionRow:
        """The collection. Raises `NotFound`, `BadInput` (`engine_not_chosen`), `Conflict` (`worker_missing`)."""
        async with self.catalog.reading() as session:
            row = await collections.get(session, collection)
            _check_engine(row)
            await self._check_worker(session)
        return row

    async def start_upload(
        self, job_id: UUID, collection: CollectionRow, sealed: Sealed, uri: str | None, key_id: str
    ) -> JobRow:
        """A job for an image in the spool, whose key is kept with it. Raises `Overloaded` (`too_many_jobs`)."""
        async with writing(self.catalog) as session:
            await self._store(session, job_id, collection, "upload", uri, key_id)
            await jobs.add_upload(session, job_id, sealed.key, sealed.image_id)
            return await jobs.get(session, job_id)

    async def cancel(self, job_id: UUID, key_id: str) -> JobRow:
        """Ask a job to stop. Raises `NotFound` (`job_unknown`), `Conflict` (`job_over`)."""
        async with writing(self.catalog) as session:
            job = await jobs.cancel(session, job_id)
            if job.state == "cancelled" and job.queue_job is not None:
                await queue.withdraw(session, job.queue_job)
            await audit.add(session, key_id, "job.cancel", job.collection, str(job_id))
        if job.state == "cancelled":
            self.spool.drop(job_id)
        return job

    async def _store(
        self, session: WriteSession, job_id: UUID, row: CollectionRow, kind: JobKind, source: str | None, key_id: str
    ) -> None:
        if await jobs.unfinished_of(session, key_id) >= self.most_per_key:
            raise Overloaded(
                "too_many_jobs",
                f"this key has {self.most_per_key} unfinished jobs already",
                retry_after_s=_RETRY_S,
                fix="wait for some to end, or cancel them",
            )
        await jobs.add(session, job_id, row.id, kind, source, key_id)
        await jobs.set_queue_job(session, job_id, await queue.enqueue(session, job_id, kind))
        await audit.add(session, key_id, f"job.{kind}", row.settings.name, str(job_id))

    async def _check_worker(self, session: ReadSession) -> None:
        if not await queue.workers_alive(session, self.lost_after):
            raise Conflict("worker_missing", "no worker runs that could describe it", fix="start: wordsight worker")


def _check_engine(row: CollectionRow) -> None:
    if row.settings.engine is None:
        raise BadInput(
            "engine_not_chosen",
            "no captioning engine was chosen for this collection",
            fix=f'PATCH /v1/collections/{row.settings.name} with {{"engine": "vllm"}}, "openai" or "basic"',
        )
