"""What a worker does with a job: caption, publish, index. The captioner works in a thread beside the event loop."""

import asyncio
import importlib
import shlex
import shutil
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from app.cli import captioning
from app.cli.caption_options import CaptionOptions
from app.cli.lookup import known_in
from app.cli.wiring import choose_engine, make_describer
from app.settings import Settings
from app.uploads.spool import Spool
from app.worker.attempt import UNANSWERED, Report, Stopped, be_patient
from scenes.allowed.models import AllowedModels
from scenes.errors import EnvironmentMissing, WordsightError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from captioner.batches.folder import BatchFolder
    from captioner.engines.engine import Describer
    from captioner.pipeline.lookup import Known
    from captioner.pipeline.tally import Tally
    from captioner.sources import Item
    from scenes.catalog.collections import CollectionRow
    from scenes.catalog.connection import Catalog
    from scenes.catalog.jobs import JobRow
    from scenes.collection import Collection

_OPTIONS = CaptionOptions()
MOST_IDLE = 4
"""So many engines stay loaded for jobs to come."""
_UNREACHABLE = "engine_unreachable"
Index = Callable[[str, bool], Awaitable[object]]
"""Makes a collection searchable; True: with a new release in any case."""


@dataclass
class _Loaded:
    describer: "Describer"
    users: int = 0


class Describers:
    """Engines by what collections choose. Each is loaded when it is first needed; of those that no job uses, the
    `MOST_IDLE` that were used last stay loaded."""

    def __init__(self, options: str, models: AllowedModels) -> None:
        self._options, self._models = shlex.split(options), models
        self._loaded: OrderedDict[tuple[str | None, str | None, bool], _Loaded] = OrderedDict()
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def of(self, settings: "Collection") -> "AsyncIterator[Describer]":
        """The engine of a collection, kept loaded until the block ends.

        Raises `EnvironmentMissing` (`engine_model_not_allowed`), and as `choose_engine` and `make_describer` do.
        """
        self._models.check_engine(settings, EnvironmentMissing)
        named = settings.engine, settings.engine_model, settings.third_party_consent
        async with self._turn:
            if named not in self._loaded:
                self._loaded[named] = _Loaded(await asyncio.to_thread(self._make, settings))
            one = self._loaded[named]
            one.users += 1
        try:
            yield one.describer
        finally:
            one.users -= 1
            self._loaded.move_to_end(named)
            for idle in [key for key, other in self._loaded.items() if not other.users][:-MOST_IDLE]:
                await asyncio.to_thread(self._loaded.pop(idle).describer.close)

    def close(self) -> None:
        """Free the engines."""
        for one in self._loaded.values():
            one.describer.close()

    def _make(self, settings: "Collection") -> "Describer":
        engine = choose_engine(None, settings)
        options = [] if engine == "basic" else self._options
        return make_describer(engine, settings.engine_model, options, consent=settings.third_party_consent)


@dataclass(frozen=True, slots=True)
class Performer:
    """Does jobs on this machine."""

    catalog: "Catalog"
    config: Settings
    describers: Describers
    index: Index
    spool: Spool

    async def __call__(self, job: "JobRow", report: Report) -> None:
        """Raises `Stopped`, `Unanswered`, and `WordsightError` where the job can't be done."""
        from scenes.catalog import collections

        async with self.catalog.reading() as session:
            row = await collections.by_id(session, job.collection_id)
        try:
            if job.kind != "index":
                await asyncio.to_thread(import_captioner)
            await self._do(job, row, report)
        except ImportError as error:
            raise EnvironmentMissing(
                "captioner_not_installed",
                f"this worker can't caption: {error}",
                fix="pip install 'wordsight[captioner]' where the worker runs",
            ) from error

    async def _do(self, job: "JobRow", row: "CollectionRow", report: Report) -> None:
        if job.kind == "index":
            await self.index(row.settings.name, True)
        elif job.kind == "publish":
            await self._publish(job, row, report)
        else:
            await self._caption(job, row, report)

    def tidy(self, job_id: UUID) -> None:
        """Remove what a job kept on this machine: its batches, its upload."""
        shutil.rmtree(self._folder(job_id), ignore_errors=True)
        self.spool.drop(job_id)

    def leftovers(self, older_than_s: float = 600.0) -> list[UUID]:
        """The jobs that keep something on this machine."""
        found = self.spool.older_than(older_than_s)
        for path in self._folders.glob("*"):
            with suppress(ValueError):
                found.append(UUID(path.name))
        return found

    async def _publish(self, job: "JobRow", row: "CollectionRow", report: Report) -> None:
        from captioner.batches.folder import BatchFolder
        from captioner.batches.publish import publish
        from captioner.sources import Guard
        from scenes.catalog.publishing import PublishCounts

        source, guard = job.source or "", Guard(self.config.job_sources)
        await asyncio.to_thread(guard.check, source)
        counts = PublishCounts()
        for folder in BatchFolder.all_in(Path(source), guard):
            counts += await publish(self.catalog, row.id, folder)
            report.tell({name: getattr(counts, name) for name in PublishCounts.__slots__})
            if report.should_stop():
                raise Stopped
        await self.index(row.settings.name, False)

    async def _caption(self, job: "JobRow", row: "CollectionRow", report: Report) -> None:
        from captioner.batches.publish import publish

        items = await self._items(job)
        async with self._describer(job, row) as describer:
            recipe = captioning.whole_recipe(describer, _OPTIONS)
            folder = await asyncio.to_thread(captioning.batch_folder, self._folder(job.id), recipe)
            known = known_in(self.catalog, row.id, folder.recipe.fingerprint())
            tally = await asyncio.to_thread(_run, items, describer, folder, known, report)
        if tally.stopped and not await self._is_cancelled(job):
            raise Stopped
        if UNANSWERED & tally.reasons.keys() and not tally.stopped:
            be_patient(job)
        await publish(self.catalog, row.id, folder)
        await self.index(row.settings.name, False)
        if tally.stopped:
            raise Stopped

    @asynccontextmanager
    async def _describer(self, job: "JobRow", row: "CollectionRow") -> "AsyncIterator[Describer]":
        async with AsyncExitStack() as stack:
            try:
                describer = await stack.enter_async_context(self.describers.of(row.settings))
            except EnvironmentMissing as error:
                if error.code == _UNREACHABLE:
                    be_patient(job, error.message)
                raise
            yield describer

    async def _items(self, job: "JobRow") -> "Iterable[Item]":
        from captioner.sources import Guard, check, items

        if job.kind == "upload":
            return [await self._uploaded(job)]
        source, guard = job.source or "", Guard(self.config.job_sources)
        await asyncio.to_thread(check, source, guard)
        return items(source, guard)

    async def _uploaded(self, job: "JobRow") -> "Item":
        from captioner.sources import Item
        from captioner.sources.item import Lost
        from scenes.catalog import jobs

        async with self.catalog.reading() as session:
            key = await jobs.upload_key(session, job.id)
        try:
            self.spool.key(job.id, key)
        except EnvironmentMissing as error:
            be_patient(job, error.message)
            raise

        def read(limit_bytes: int) -> bytes:
            try:
                return self.spool.read(job.id, key)[: limit_bytes + 1]
            except WordsightError as error:
                raise Lost(error.message) from error

        return Item(job.source or f"upload:{job.image_id}", read)

    async def _is_cancelled(self, job: "JobRow") -> bool:
        from scenes.catalog import jobs

        async with self.catalog.reading() as session:
            return (await jobs.get(session, job.id)).cancel_requested

    @property
    def _folders(self) -> Path:
        return self.config.home / "batches" / "jobs"

    def _folder(self, job_id: UUID) -> Path:
        return self._folders / str(job_id)


def import_captioner() -> None:
    """Import what jobs need of the captioner, without its models; in a thread, so that the worker goes on meanwhile."""
    for name in ("batches.publish", "pipeline.run", "sources", "redaction.loading"):
        importlib.import_module(f"captioner.{name}")


def _run(
    items: "Iterable[Item]",
    describer: "Describer",
    folder: "BatchFolder",
    known: "Known",
    report: Report,
) -> "Tally":
    """Caption, telling the counts of this attempt and of those before it."""
    from captioner.batches.latest_records import standing
    from captioner.pipeline.run import caption
    from captioner.pipeline.stop import Stop
    from scenes.outcome import Refused

    before = [record.outcome for record in standing(folder)]
    kinds = Counter(one.kind for one in before)
    refused = Counter(one.reason.value for one in before if isinstance(one, Refused))
    stop = Stop()

    def tick(tally: "Tally") -> None:
        if report.should_stop():
            stop.set()
        done = {"described": tally.described + kinds["described"], "refused": tally.refused + kinds["refused"]}
        done |= {"failed": tally.failed, "already": max(0, tally.already - kinds["described"] - kinds["refused"])}
        report.tell({"inputs": sum(done.values()), **done}, tally.reasons + refused)

    tally = caption(items, describer, folder, plan=captioning.plan(folder.recipe), known=known, stop=stop, tick=tick)
    tick(tally)
    return tally
