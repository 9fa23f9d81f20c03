"""The worker keeps every collection searchable: what has no vectors is embedded, releases that have grown old are
built anew, expired searches and the releases of deleted collections are deleted. Beside the command line the only
composition root."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from app.search.expiry import purge
from app.worker.attempt import POSTGRES_AWAY
from app.worker.backoff import Backoff
from app.worker.fault_limit import FaultLimit
from indexer.encoding.embedding import Failures, Tick
from indexer.encoding.encoder import Encoder
from indexer.releases.cleanup import sweep
from indexer.releases.refresh import Refreshed, refresh
from scenes.catalog import collections
from scenes.catalog.collections import CHANGES, CollectionRow
from scenes.catalog.connection import Catalog
from scenes.errors import NotFound, WordsightError
from scenes.faults import trace_of

_K = TypeVar("_K")
RETRY = timedelta(seconds=5)
UNFORESEEN = "an unforeseen error; the worker's log says where"


@dataclass(frozen=True, slots=True)
class Around:
    """What a worker is given: `load` makes the encoder that a collection names, None for the shipped one."""

    load: Callable[[str | None], Encoder]
    say: Callable[[str], None]
    progress: Callable[[str], AbstractContextManager[Tick]]


@dataclass
class Work:
    """What was done: descriptions embedded, releases built, searches purged, deleted collections' releases swept;
    `failed` is {collection: message} of those that failed when last tried."""

    rounds: int = 0
    embedded: int = 0
    releases: int = 0
    purged: int = 0
    swept: int = 0
    failed: dict[str, str] = field(default_factory=dict)


class Worker:
    """Tends all collections of one catalog; `work` tells what it has done so far."""

    def __init__(self, catalog: Catalog, home: Path, around: Around, work: Work | None = None) -> None:
        self.work = work or Work()
        self._catalog = catalog
        self._home = home
        self._around = around
        self._encoders: dict[str | None, Encoder] = {}
        self._at_rest: dict[int, CollectionRow] = {}
        self._failures: dict[tuple[int, str | None], Failures] = {}
        self._turn = asyncio.Lock()
        self._backoff = Backoff(RETRY)

    async def keep(self, every: timedelta) -> NoReturn:
        """Go round whenever something was committed, and after `every` at the latest, until cancelled.

        Where Postgres is away it is tried again, and so it is after an error that nobody foresaw, unless one follows
        the other. All else that a round raises ends the worker.
        """
        limit = FaultLimit(self._around.say)
        while True:
            try:
                async with self._catalog.listening(CHANGES) as notices:
                    while True:
                        await self.go_round()
                        await notices.wait(min(every, self._backoff.next_due() or every))
            except WordsightError as error:
                if error.code not in POSTGRES_AWAY:
                    raise
                self._around.say(f"{error}; trying again in {RETRY.total_seconds():g} s")
            except Exception as error:  # noqa: BLE001 - the worker outlives it; it is reported, and bounded
                limit.met("the worker", error)
            await asyncio.sleep(RETRY.total_seconds())

    async def go_round(self) -> None:
        """Tend each collection that changed since it was last at rest; one that fails costs no other its turn.

        Raises `EnvironmentMissing` and `Overloaded` where Postgres is away.
        """
        self.work.rounds += 1
        self.work.purged += await purge(self._catalog)
        self.work.swept += len(await sweep(self._catalog, self._home))
        async with self._catalog.reading() as session:
            rows = await collections.all_(session)
        self._forget_others(rows)
        for row in rows:
            if self._at_rest.get(row.id) != row and self._backoff.is_due(_attempted(row)):
                await self._tend_or_report(row)

    async def _tend_or_report(self, row: CollectionRow) -> None:
        name = row.settings.name
        self.work.failed.pop(name, None)
        try:
            await self._tend(row)
        except NotFound as error:
            self._backoff.failed(_attempted(row))
            self._around.say(f"{name}: deleted meanwhile ({error.code})")
        except WordsightError as error:
            if error.code in POSTGRES_AWAY:
                raise
            self._failed(row, error.message, str(error))
        except Exception as error:  # noqa: BLE001 - one collection's error must not stop the others; it is reported
            self._failed(row, UNFORESEEN, f"an unforeseen error\n{trace_of(error)}")
        else:
            self._backoff.succeeded(_attempted(row))

    def _failed(self, row: CollectionRow, message: str, log: str) -> None:
        """The collection is tried again later; the others go on."""
        self.work.failed[row.settings.name] = message
        again = self._backoff.failed(_attempted(row))
        self._around.say(f"{row.settings.name}: {log}\n{row.settings.name}: again in {again.total_seconds():g} s")

    def _forget_others(self, rows: Sequence[CollectionRow]) -> None:
        """What is known of collections that exist no more, or of their former encoders."""
        attempted = {_attempted(row) for row in rows}
        self._backoff.keep(attempted)
        _keep_only(self._failures, attempted)
        _keep_only(self._at_rest, {row.id for row in rows})
        _keep_only(self._encoders, {row.settings.encoder for row in rows})
        _keep_only(self.work.failed, {row.settings.name for row in rows})

    async def index(self, name: str, always: bool = False) -> Refreshed:
        """Make a collection searchable, with a new release where there is none fit, or `always`; one at a time."""
        async with self._turn:
            async with self._catalog.reading() as session:
                row = await collections.get(session, name)
            encoder = await self._encoder(row.settings.encoder)
            with self._around.progress(f"embedding {name}") as tick:
                failures = self._failures_of(row)
                return await refresh(
                    self._catalog, name, encoder, self._home, tick=tick, always=always, failures=failures
                )

    async def _tend(self, row: CollectionRow) -> None:
        done = await self.index(row.settings.name)
        built = done.release is not None and done.release.id != row.active_release
        self.work.embedded += done.embedded
        self.work.releases += built
        failures, failed = self._failures_of(row), ""
        if failures:
            self.work.failed[row.settings.name] = f"descriptions that can't be embedded: {failures.summary()}"
            failed = f", {len(failures)} can't be embedded"
        elif not done.embedded and not built:
            self._at_rest[row.id] = row
            return
        release = f", release {done.release.id} built over {done.release.rows} images" if done.release and built else ""
        self._around.say(f"{row.settings.name}: {done.embedded} embedded{failed}{release}")

    def _failures_of(self, row: CollectionRow) -> Failures:
        """What the collection's encoder failed on, to be skipped until it is time to try again."""
        failures = self._failures.setdefault((row.id, row.settings.encoder), Failures())
        if failures.have_lapsed():
            failures.clear()
        return failures

    async def _encoder(self, name: str | None) -> Encoder:
        if name not in self._encoders:
            self._encoders[name] = await asyncio.to_thread(self._around.load, name)
        return self._encoders[name]


def _keep_only(known: dict[_K, Any], keys: set[_K]) -> None:
    for key in known.keys() - keys:
        del known[key]


def _attempted(row: CollectionRow) -> tuple[int, str | None]:
    """What fails or not: a collection with an encoder."""
    return row.id, row.settings.encoder
