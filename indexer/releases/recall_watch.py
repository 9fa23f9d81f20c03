"""The promise of recall, watched while a server runs: a metric, and an alarm where it is broken."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from indexer.releases.recall_sample import RecallSampler, Taken, compared
from indexer.vectors.tuning import PROMISED_RECALL
from scenes.catalog import recall
from scenes.catalog.connection import Catalog
from scenes.catalog.recall import Sampled
from scenes.errors import WordsightError
from scenes.faults import trace_of

ENOUGH = 50
"""So few samples are no reason for an alarm."""
_LOOK = timedelta(seconds=1)
_log = logging.getLogger(__name__)


class Told(Protocol):
    """Is told what samples found."""

    def recall_sampled(self, wanted: int, found: int) -> None: ...

    def recall_stands(self, worst: float | None, below: int) -> None:
        """The worst collection's recall, and how many are below the promise."""
        ...


def is_below_promise(sampled: Sampled) -> bool:
    """Has enough been looked at, and too little of it found?"""
    return sampled.searches >= ENOUGH and sampled.recall is not None and sampled.recall < PROMISED_RECALL


@dataclass(slots=True)
class RecallWatch:
    """What is known of each collection that was sampled here; the samples of all processes count."""

    catalog: Catalog
    sampler: RecallSampler
    told: Told
    known: dict[int, Sampled] = field(default_factory=dict)

    def below(self) -> dict[int, Sampled]:
        """The collections whose served recall is below the promise."""
        return {number: one for number, one in self.known.items() if is_below_promise(one)}

    @contextlib.asynccontextmanager
    async def watching(self, look: timedelta = _LOOK) -> AsyncIterator[None]:
        """Compare what the sampler takes, until the block ends."""
        task = asyncio.create_task(self._forever(look))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _forever(self, look: timedelta) -> None:
        while True:
            await asyncio.sleep(look.total_seconds())
            taken = self.sampler.take()
            if taken is not None:
                try:
                    await self.look_at(taken)
                except WordsightError as error:
                    _log.warning("a search could not be compared with exact search: %s", error)
                except Exception as error:  # noqa: BLE001 - the next sample is looked at all the same; it is reported
                    _log.error("a search could not be compared with exact search: %s", trace_of(error))

    async def look_at(self, taken: Taken) -> None:
        """Compare one search. Raises `EnvironmentMissing` where Postgres is away, `Corrupt` where a file was cut."""
        release, number = taken.snapshot.release, taken.snapshot.collection_id
        assert release is not None  # noqa: S101 - the sampler takes no others
        wanted, found = await asyncio.to_thread(compared, taken)
        async with self.catalog.writing() as session:
            await recall.add(session, number, release.id, wanted, found)
            sampled = await recall.newest(session, release.id)
        self.told.recall_sampled(wanted, found)
        self._tell(number, sampled)

    def _tell(self, number: int, sampled: Sampled) -> None:
        was = number in self.below()
        self.known[number] = sampled
        shares = [one.recall for one in self.known.values() if one.recall is not None]
        self.told.recall_stands(min(shares, default=None), len(self.below()))
        if (number in self.below()) != was:
            state = "keeps its promise again" if was else f"is below the promised {PROMISED_RECALL}"
            _log.error("collection %d: served recall@10 of %d searches %s", number, sampled.searches, state)
