"""What a server embeds by itself, what it leaves to a worker, and what it reports of it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.search.embedding import BATCH, BackgroundEmbedding
from indexer.encoding.embedding import AGAIN
from indexer.encoding.encoder import Encoded, Encoder
from indexer.retrieval.encoders import Encoders
from indexer.retrieval.ranking import Ranking
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.errors import BadInput
from tests.app.worker.test_worker import publish
from tests.indexer.letters import BagOfLetters

pytestmark = pytest.mark.postgres


class Gauge:
    def __init__(self) -> None:
        self.count, self.oldest_s = -1, -1.0

    def backlog_is(self, count: int, oldest_s: float) -> None:
        self.count, self.oldest_s = count, oldest_s


class Sick(BagOfLetters):
    """Fails on texts that say `poison`, until it is cured."""

    cured = False

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        if not self.cured and any("poison" in text for text in texts):
            raise ValueError("a text that this encoder can't bear")
        return self.encode_queries(texts)


class World:
    """A server's background embedding with a clock of its own."""

    def __init__(self, catalog: Catalog, home: Path, share: float = 0.2, most_beside: int = 20_000) -> None:
        self.catalog, self.gauge, self.now, self.encoder = catalog, Gauge(), 1_000.0, Sick()
        self.engines = Encoders(catalog, home, self.load, Ranking(), runners=1)
        self.embedding = BackgroundEmbedding(catalog, self.engines, self.gauge, share, lambda: self.now, most_beside)

    def load(self, name: str | None) -> Encoder:
        if name == "gone":
            raise BadInput("encoder_unknown", "there is no encoder at /some/path")
        return self.encoder

    async def tend(self, seconds: float = 1.0) -> bool:
        """Look at everything, so many seconds later."""
        self.now += seconds
        return await self.embedding.tend_all()

    async def pending(self, name: str) -> int:
        async with self.catalog.reading() as session:
            return await self.embedding.pending(session, await collections.get(session, name))

    def warnings_after(self, seconds: float) -> list[str]:
        self.now += seconds
        return [text for _, text in self.embedding.warnings()]


@pytest.fixture
async def world(catalog: Catalog, home: Path) -> AsyncIterator[World]:
    world = World(catalog, home)
    await world.engines.of(None)
    yield world
    world.engines.close()


async def test_a_worker_has_a_head_start_and_then_the_server_embeds(world: World) -> None:
    await publish(world.catalog, Collection(name="c"), "a cat", "a dog")
    assert not await world.tend(0)
    assert not await world.tend(0.4)
    assert await world.pending("c") == 2
    assert await world.tend(0.2)
    assert not await world.tend()
    assert (await world.pending("c"), world.gauge.count) == (0, 0)


async def test_more_than_a_batch_is_embedded_batch_by_batch_in_turn(world: World) -> None:
    await publish(world.catalog, Collection(name="large"), *(f"text {i}" for i in range(2 * BATCH + 1)))
    await publish(world.catalog, Collection(name="small"), "a cat")
    await world.tend(0)
    assert await world.tend()
    assert (await world.pending("large"), await world.pending("small")) == (BATCH + 1, 0)
    assert world.gauge.count == BATCH + 1
    assert await world.tend()
    assert await world.tend()
    assert not await world.tend()
    assert (await world.pending("large"), world.gauge.count) == (0, 0)


async def test_a_description_that_cant_be_embedded_is_reported_and_tried_again_later(world: World) -> None:
    await publish(world.catalog, Collection(name="c"), "a cat", "poison")
    await world.tend(0)
    assert await world.tend()
    assert not await world.tend()
    assert not await world.tend(60)
    assert await world.pending("c") == 1
    (warning,) = world.warnings_after(10)
    assert "1 image is stored but not searchable yet" in warning
    assert "ValueError: 1" in warning
    world.encoder.cured = True
    assert not await world.tend()
    assert not await world.tend(AGAIN.total_seconds())
    assert await world.tend()
    assert not await world.tend()
    assert (await world.pending("c"), world.warnings_after(60)) == (0, [])


async def test_an_encoder_that_cant_be_loaded_costs_no_other_collection_its_turn(world: World) -> None:
    await publish(world.catalog, Collection(name="a-sick-one", encoder="gone"), "a cat")
    await publish(world.catalog, Collection(name="healthy"), "a dog")
    await world.tend(0)
    assert await world.tend()
    assert not await world.tend(20)
    assert (await world.pending("a-sick-one"), await world.pending("healthy")) == (1, 0)
    (warning,) = world.warnings_after(10)
    assert warning.endswith("; it can't be embedded (encoder_unknown)")  # and no path
    assert world.gauge.count == 1


async def test_a_large_backlog_is_left_to_a_worker(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home, most_beside=5)
    await world.engines.of(None)
    await publish(world.catalog, Collection(name="c"), *(f"text {i}" for i in range(8)))
    await world.tend(0)
    assert await world.tend()
    assert not await world.tend()
    assert await world.pending("c") == 3
    assert world.warnings_after(5) == []
    (warning,) = world.warnings_after(5)
    assert "3 images are stored but not searchable yet, the oldest for" in warning
    assert "up to 5 beside a release: start wordsight worker" in warning
    world.engines.close()


async def test_a_server_may_leave_all_of_it_to_workers(catalog: Catalog, home: Path) -> None:
    world = World(catalog, home, share=0)
    await world.engines.of(None)
    await publish(catalog, Collection(name="c"), "a cat")
    await world.tend(0)
    assert not await world.tend(20)
    assert not await world.tend(20)
    assert (await world.pending("c"), world.gauge.count) == (1, 1)
    assert "start wordsight worker" in world.warnings_after(10)[0]
    world.engines.close()


async def test_collections_that_change_or_go_are_followed(world: World) -> None:
    await publish(world.catalog, Collection(name="c"), "a cat")
    await world.tend(0)
    await world.tend()
    await publish(world.catalog, Collection(name="c"), "a dog")
    await world.tend(0)
    assert world.gauge.count == 0  # not looked at yet
    async with world.catalog.writing() as session:
        await collections.delete(session, "c")
    assert not await world.tend()
    assert (world.gauge.count, world.warnings_after(60)) == (0, [])
