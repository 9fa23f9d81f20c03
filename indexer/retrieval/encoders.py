"""The encoders that are loaded, one for each name that collections use, each with what searches by it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.encoding.encoder import Encoder, LocatesWords
from indexer.encoding.files import find_encoder
from indexer.encoding.micro_batch import MicroBatcher
from indexer.releases.index_reader import Snapshot
from indexer.releases.loading import Accelerate
from indexer.releases.loading import itself as no_replica
from indexer.releases.searcher import Searcher
from indexer.retrieval.query_vectors import QueryVectors
from indexer.retrieval.ranking import Ranking
from indexer.retrieval.search_batch import BatchSearch, EncodedQuery, Looked, Lookup
from indexer.tokens.late_interaction import Said, late_scores, pack
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog
from scenes.errors import Overloaded, WordsightError
from scenes.host.processes import cores
from scenes.relevance import Relevance, read_relevance
from scenes.wording import DEFAULT_WORDING

MOST = 4
_AGAIN_S = 30.0
_log = logging.getLogger(__name__)
_WARM = "a first query, so that the next one is quick"


@dataclass(frozen=True, slots=True)
class OpenEncoder:
    """An encoder that is loaded, with what searches by it: `batcher` works on queries, `vectors` keeps theirs,
    `searcher` has what is searchable. `locator` knows where a text's tokens are, None where that can't be known."""

    encoder: Encoder
    batcher: MicroBatcher[Lookup, Looked]
    vectors: QueryVectors
    fingerprint: str
    searcher: Searcher
    relevance: Relevance | None = None
    locator: LocatesWords | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one search looks: a collection at one moment, by one encoder."""

    collection: CollectionRow
    encoder: OpenEncoder
    reader: Snapshot

    @property
    def may_remember(self) -> bool:
        """May vectors of this collection's queries be kept in memory?"""
        return self.collection.settings.search_log != "off"


class Encoders:
    """Loads each encoder when a collection first needs it, at most `MOST` of them."""

    def __init__(
        self,
        catalog: Catalog,
        home: Path,
        load: Callable[[str | None], Encoder],
        ranking: Ranking,
        accelerate: Accelerate = no_replica,
        runners: int | None = None,
    ) -> None:
        """`runners` batches of queries are worked on at a time, one for each core if left out."""
        self._catalog = catalog
        self._runners = runners or cores()
        self._home = home
        self._load = load
        self._ranking = ranking
        self._accelerate = accelerate
        self._opened: dict[str | None, OpenEncoder] = {}
        self._batchers: list[MicroBatcher[Lookup, Looked]] = []
        self._opening = asyncio.Lock()
        self._followers: AsyncExitStack | None = None
        self._answers: dict[int, str | None] = {}
        self._moving: dict[int, asyncio.Task[None]] = {}
        self.searches = 0
        """How many searches have come so far."""

    async def of(self, name: str | None) -> OpenEncoder:
        """The engine of an encoder, warm. Raises as the encoder's loading does, and `Overloaded`."""
        known = self._opened.get(name)
        if known is not None:
            return known
        async with self._opening:
            if name not in self._opened:
                self._opened[name] = await self._open(name)
            return self._opened[name]

    def fingerprint(self, name: str | None) -> str | None:
        """The fingerprint of an encoder's recipe, None where it is not open."""
        opened = self._opened.get(name)
        return None if opened is None else opened.fingerprint

    async def answering(self, collection: CollectionRow) -> OpenEncoder:
        """The engine that answers a collection now.

        Where its encoder was changed, the one that answered before goes on until the new one is loaded and has read
        the new release, so that no request waits for either. Raises as `of` does.
        """
        self.searches += 1
        wanted = collection.settings.encoder
        before = self._answers.setdefault(collection.id, wanted)
        if before == wanted or before not in self._opened:
            self._answers[collection.id] = wanted
            return await self.of(wanted)
        moving = self._moving.get(collection.id)
        if moving is None or moving.done():
            self._moving[collection.id] = asyncio.create_task(self._move(collection, before))
        return self._opened[before]

    async def _move(self, collection: CollectionRow, before: str | None) -> None:
        try:
            engine = await self.of(collection.settings.encoder)
            await engine.searcher.snapshot(collection)
        except WordsightError as error:
            _log.error("collection %d is answered by its former encoder: %s", collection.id, error)
            await asyncio.sleep(_AGAIN_S)
            return
        self._answers[collection.id] = collection.settings.encoder
        self._opened[before].searcher.forget(collection.id)
        _log.info("collection %d is answered by its new encoder", collection.id)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Until the block ends, snapshots are renewed in the background, so that no request pays a reload."""
        async with AsyncExitStack() as followers:
            self._followers = followers
            for engine in self._opened.values():
                await followers.enter_async_context(engine.searcher.following())
            try:
                yield
            finally:
                self._followers = None

    def troubles(self) -> dict[int, str]:
        """For each collection whose active release does not answer, by its number: why."""
        return {number: why for one in self._opened.values() for number, why in one.searcher.troubles().items()}

    @property
    def waiting(self) -> int:
        """How many queries wait to be embedded."""
        return sum(batcher.waiting for batcher in self._batchers)

    def close(self) -> None:
        for task in self._moving.values():
            task.cancel()
        for batcher in self._batchers:
            batcher.close()

    async def _open(self, name: str | None) -> OpenEncoder:
        if len(self._opened) >= MOST:
            raise Overloaded(
                "encoders_full",
                f"this server has {MOST} encoders open already",
                retry_after_s=60.0,
                fix="let another server answer the collections with other encoders",
            )
        encoder = await asyncio.to_thread(self._load, name)
        batcher = MicroBatcher(BatchSearch(encoder, self._ranking), runners=self._runners)
        self._batchers.append(batcher)
        await asyncio.to_thread(_compile, (await batcher.do(Lookup(_WARM, None, None))).encoded)
        searcher = Searcher(self._catalog, encoder.recipe, self._home, self._accelerate)
        if self._followers is not None:
            await self._followers.enter_async_context(searcher.following())
        relevance = await asyncio.to_thread(_relevance, name, encoder)
        fingerprint = encoder.recipe.fingerprint()
        return OpenEncoder(encoder, batcher, QueryVectors(), fingerprint, searcher, relevance, _locator(encoder))


def _compile(query: EncodedQuery) -> None:
    """Rank a query against itself, so that what ranks is compiled before the first search."""
    if query.words is not None:
        late_scores(query.words, Said.of([pack(query.words)]))


def _locator(encoder: Encoder) -> LocatesWords | None:
    """Phrases are found in the default wording only."""
    return encoder if encoder.recipe.wording == DEFAULT_WORDING and isinstance(encoder, LocatesWords) else None


def _relevance(name: str | None, encoder: Encoder) -> Relevance | None:
    """What the calibration of exactly this encoder found."""
    files = find_encoder(name)
    return read_relevance(files.folder) if files.weights_digest == encoder.recipe.weights_digest else None
