"""What has no vectors is embedded once, whoever does it, and a description that can't be embedded holds up no other."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.encoding.embedding import MOST_FAILED, Bounds, Failures, embed_missing
from indexer.encoding.encoder import Encoded
from scenes.catalog import embeddings
from scenes.catalog.connection import Catalog
from scenes.errors import EnvironmentMissing
from tests.indexer.letters import BagOfLetters
from tests.indexer.world import World

pytestmark = pytest.mark.postgres
SERVER = Bounds(batch=4, chunk=2, aside=True)


class Counting(BagOfLetters):
    """Counts how often each text is embedded, and fails on those that say `poison`."""

    def __init__(self) -> None:
        self.texts = Counter[str]()

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        self.texts.update(texts)
        if any("poison" in text for text in texts):
            raise ValueError("a text that this encoder can't bear")
        return self.encode_queries(texts)


async def started(catalog: Catalog, home: Path, *texts: str) -> tuple[World, Counting, int]:
    world, encoder = World(catalog, home), Counting()
    world.encoder = encoder
    await world.add(*texts)
    return world, encoder, (await world.collection()).id


async def test_a_description_that_cant_be_embedded_holds_up_no_other(catalog: Catalog, home: Path) -> None:
    world, encoder, number = await started(catalog, home, "aaa", "poison", "bbb", "poison too", "ccc")
    failures = Failures(again=timedelta(hours=1))
    assert await embed_missing(catalog, number, encoder, failures=failures) == 3
    assert (len(failures), failures.summary()) == (2, "ValueError: 2")
    assert sorted(await world.find("abc", 10)) == ["aaa", "bbb", "ccc"]
    assert len((await world.snapshot()).pending) == 2
    before = encoder.texts.copy()
    await world.add("ddd")
    assert await embed_missing(catalog, number, encoder, failures=failures) == 1
    assert set(encoder.texts - before) == {text for text in encoder.texts if "ddd" in text}  # no second try
    waiting = await backlog(world, failures)
    assert (waiting.count, waiting.failed) == (2, 2)


async def backlog(world: World, failures: Failures) -> embeddings.Backlog:
    async with world.catalog.reading() as session:
        fingerprint = world.encoder.recipe.fingerprint()
        return await embeddings.backlog(session, await world.collection(), fingerprint, failed=failures.ids)


def test_what_failed_is_tried_again_later_and_a_broken_encoder_is_told() -> None:
    now = 0.0
    failures = Failures(again=timedelta(seconds=60), clock=lambda: now)
    assert not failures.have_lapsed()
    failures.add(1, "ValueError")
    now = 59.0
    failures.add(2, "ValueError")
    assert not failures.have_lapsed()
    now = 60.0
    assert failures.have_lapsed()
    failures.clear()
    assert not failures.have_lapsed()
    for number in range(MOST_FAILED):
        failures.add(number, "RuntimeError")
    with pytest.raises(EnvironmentMissing, match="RuntimeError: 1000"):
        failures.add(MOST_FAILED, "RuntimeError")


async def test_several_at_once_embed_each_description_once(catalog: Catalog, home: Path) -> None:
    texts = [f"text number {i}" for i in range(40)]
    world, encoder, number = await started(catalog, home, *texts)

    async def serve() -> int:
        done = 0
        while len(encoder.texts) < len(texts):
            done += await embed_missing(catalog, number, encoder, bounds=SERVER)
            await asyncio.sleep(0.01)
        return done

    worker = embed_missing(catalog, number, encoder, bounds=Bounds(batch=8))
    done = await asyncio.gather(worker, serve(), serve())
    assert sum(done) == len(texts)
    assert set(encoder.texts.values()) == {1}
    assert len((await world.snapshot()).pending) == 0


async def test_a_server_steps_aside_where_another_process_embeds(catalog: Catalog, home: Path) -> None:
    _, encoder, number = await started(catalog, home, "aaa")
    fingerprint = encoder.recipe.fingerprint()
    async with catalog.writing() as turn:
        await embeddings.hold_for_embedding(turn, number, fingerprint)
        assert await embed_missing(catalog, number, encoder, bounds=SERVER) == 0
    async with catalog.writing() as turn:
        assert await embeddings.may_embed(turn, number + 1, fingerprint)  # another server, another collection
        assert await embed_missing(catalog, number, encoder, bounds=SERVER) == 0
        assert await embed_missing(catalog, number, encoder) == 1  # a worker does not mind servers


async def test_a_batch_that_takes_long_is_stored_as_far_as_it_is(catalog: Catalog, home: Path) -> None:
    world, encoder, number = await started(catalog, home, *(f"text {i}" for i in range(6)))
    generation = (await world.collection()).generation
    assert await embed_missing(catalog, number, encoder, bounds=Bounds(batch=6, chunk=2, commit_after_s=0)) == 6
    assert (await world.collection()).generation == generation + 3
    assert set(encoder.texts.values()) == {1}


async def test_a_batch_is_stored_together_and_rests_between_its_chunks(catalog: Catalog, home: Path) -> None:
    world, encoder, number = await started(catalog, home, *(f"text {i}" for i in range(10)))
    generation, rests = (await world.collection()).generation, list[float]()

    async def rest(took_s: float) -> None:
        rests.append(took_s)

    assert await embed_missing(catalog, number, encoder, bounds=Bounds(batch=4, chunk=2, most=7, rest=rest)) == 7
    assert (await world.collection()).generation == generation + 2  # 4 and 3 of them
    assert len(rests) == 4
    assert all(took_s > 0 for took_s in rests)
