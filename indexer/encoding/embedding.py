"""Embed what has no vectors yet, batch by batch; stopped anywhere, it goes on where it was.

Workers and servers embed in the same way. A batch is read, embedded and stored under one advisory lock of its
transaction, so that of several processes one embeds a collection at a time: nothing is embedded twice, and a process
that dies releases the lock.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from indexer.encoding.encoder import Encoder
from indexer.tokens.late_interaction import pack
from scenes.catalog import embeddings, recipes
from scenes.catalog.connection import Catalog, WriteSession
from scenes.catalog.embeddings import Embedding
from scenes.description import SceneDescription
from scenes.errors import EnvironmentMissing, WordsightError
from scenes.wording import passages

BATCH = 128
MOST_FAILED = 1_000
"""An encoder that fails on so many descriptions is broken, not they."""
AGAIN = timedelta(minutes=10)
"""A description that an encoder failed on is tried again after this time."""
Tick = Callable[[int, int], None]
_log = logging.getLogger(__name__)


async def _no_rest(_took_s: float) -> None:
    """Go on at once."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is done at a time.

    `batch` descriptions are stored together, or those that are embedded after `commit_after_s`. `chunk` of them are
    embedded at a time, and after each chunk `rest` is called with the seconds that it took. At most `most` are
    embedded, all if None. With `aside`, nothing is done while another process embeds the same collection, or another
    server embeds any; else its turn is waited for.
    """

    batch: int = BATCH
    chunk: int = BATCH
    commit_after_s: float = math.inf
    most: int | None = None
    aside: bool = False
    rest: Callable[[float], Awaitable[None]] = _no_rest


class Failures:
    """Descriptions of one collection that an encoder failed on. They are skipped, so that they hold up no others."""

    def __init__(self, again: timedelta = AGAIN, clock: Callable[[], float] = time.monotonic) -> None:
        self._again_s = again.total_seconds()
        self._clock = clock
        self._reasons: dict[int, str] = {}
        self._first = 0.0

    def add(self, description_id: int, reason: str) -> None:
        """Raises `EnvironmentMissing` (`encoder_fails`) where there are too many."""
        if len(self._reasons) >= MOST_FAILED:
            raise EnvironmentMissing(
                "encoder_fails",
                f"the encoder failed on {MOST_FAILED:,} descriptions ({self.summary()})",
                fix="check that the encoder runs on this machine: wordsight doctor",
            )
        if not self._reasons:
            self._first = self._clock()
        self._reasons[description_id] = reason

    @property
    def ids(self) -> list[int]:
        return list(self._reasons)

    def have_lapsed(self) -> bool:
        """Is it time to try them again?"""
        return bool(self._reasons) and self._clock() - self._first >= self._again_s

    def clear(self) -> None:
        self._reasons.clear()

    def summary(self) -> str:
        """How often each kind of error occurred, such as 'ValueError: 2'; no text of a description."""
        counted = Counter(self._reasons.values())
        return ", ".join(f"{reason}: {count}" for reason, count in sorted(counted.items()))

    def __len__(self) -> int:
        return len(self._reasons)


async def embed_missing(
    catalog: Catalog,
    collection_id: int,
    encoder: Encoder,
    tick: Tick | None = None,
    *,
    seen: bool = True,
    above: int = 0,
    bounds: Bounds = Bounds(),
    failures: Failures | None = None,
) -> int:
    """Give the current descriptions of a collection their vectors; returns how many were embedded.

    Not `seen`: of an encoder that does not answer yet (see `embeddings.store`). Images at or below the generation
    `above` are left out. What the encoder fails on is added to `failures` and skipped. Raises `EnvironmentMissing`
    (`encoder_fails`), and as the encoder does where it raises a `WordsightError`.
    """
    async with catalog.writing() as session:
        fingerprint = await recipes.remember_encoder(session, encoder.recipe)
        total = await embeddings.count_missing(session, collection_id, fingerprint) if tick else 0
    failures = Failures() if failures is None else failures
    batches = _Batches(catalog, collection_id, encoder, fingerprint, seen, above, bounds, failures)
    done = last = 0
    while bounds.most is None or done < bounds.most:
        batch = await batches.embed_next(last, bounds.batch if bounds.most is None else bounds.most - done)
        if batch is None or (not batch.last and not last):
            break
        last = batch.last  # 0 where nothing was left: from the beginning once more, an undone edit has a lower id
        done += batch.stored
        if tick and batch.stored:
            tick(done, max(total, done))
    return done


@dataclass(frozen=True, slots=True)
class _Batch:
    """How many were stored, and the highest description id that was looked at, 0 where there was none."""

    stored: int
    last: int


@dataclass(frozen=True, slots=True)
class _Batches:
    catalog: Catalog
    collection_id: int
    encoder: Encoder
    fingerprint: str
    seen: bool
    above: int
    bounds: Bounds
    failures: Failures

    async def embed_next(self, after: int, most: int) -> _Batch | None:
        """Embed the next batch behind the description id `after`; None where another process is at work."""
        limit = min(most, self.bounds.batch)
        async with self.catalog.writing() as session:
            if not await self._is_my_turn(session):
                return None
            todo = await embeddings.missing(
                session,
                self.collection_id,
                self.fingerprint,
                limit,
                after=after,
                above=self.above,
                skip=self.failures.ids,
            )
            rows, last, took_s = await self._embedded(todo)
            await embeddings.store(session, self.collection_id, self.fingerprint, rows, seen=self.seen)
        if todo:
            await self.bounds.rest(took_s)
        return _Batch(len(rows), last)

    async def _is_my_turn(self, session: WriteSession) -> bool:
        if self.bounds.aside:
            return await embeddings.may_embed(session, self.collection_id, self.fingerprint)
        await embeddings.hold_for_embedding(session, self.collection_id, self.fingerprint)
        return True

    async def _embedded(
        self, todo: Sequence[tuple[int, SceneDescription]]
    ) -> tuple[list[tuple[int, Embedding]], int, float]:
        """What stands for the first of these, the id of the last of them, and the seconds that the last chunk took: the
        rest after it comes after the commit."""
        rows: list[tuple[int, Embedding]] = []
        last, took_s, started = 0, 0.0, time.perf_counter()
        for start in range(0, len(todo), self.bounds.chunk):
            if start:
                await self.bounds.rest(took_s)
            began = time.perf_counter()
            chunk = todo[start : start + self.bounds.chunk]
            rows += await asyncio.to_thread(self._chunk, chunk)
            last, took_s = chunk[-1][0], time.perf_counter() - began
            if time.perf_counter() - started > self.bounds.commit_after_s:
                break
        return rows, last, took_s

    def _chunk(self, chunk: Sequence[tuple[int, SceneDescription]]) -> list[tuple[int, Embedding]]:
        """Where the encoder fails on several, each is tried alone, so that only those fail that must."""
        try:
            return list(
                zip([number for number, _ in chunk], embed([one for _, one in chunk], self.encoder), strict=True)
            )
        except WordsightError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an encoder raises is the description's, not the process's
            if len(chunk) > 1:
                return [row for one in chunk for row in self._chunk([one])]
            reason = type(error).__name__
            self.failures.add(chunk[0][0], reason)
            _log.warning("collection %d: description %d can't be embedded: %s", self.collection_id, chunk[0][0], reason)
            return []


def embed(descriptions: Sequence[SceneDescription], encoder: Encoder) -> list[Embedding]:
    """What stands for each description; its words are those of the first view, which says everything."""
    recipe = encoder.recipe
    worded = [passages(description, recipe.wording) for description in descriptions]
    encoded = encoder.encode_documents([passage.text for views in worded for passage in views])
    shape = (len(descriptions), recipe.views)
    vectors = encoded.vectors.reshape(*shape, recipe.dimensions)
    truncated = encoded.truncated.reshape(shape)
    said = encoded.words[:: recipe.views] or [np.empty((0, 0), np.float32)] * len(descriptions)
    return [Embedding(vectors[i], pack(words), bool(np.any(truncated[i]))) for i, words in enumerate(said)]
