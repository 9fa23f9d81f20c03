"""Another encoder takes over and hands back, and at no moment is anything lost, doubled or out of date."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from indexer.releases.encoder_change import forget_others, prepare, standing, switch
from indexer.releases.release import build, releases_folder
from indexer.releases.searcher import Searcher
from scenes.catalog import embeddings
from scenes.catalog.connection import Catalog
from scenes.errors import BadInput, Conflict, NotFound
from tests.indexer.letters import BagOfPairs
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
NEW = BagOfPairs()
TEXTS = ("quick fox", "lazy dog", "red bus", "blue sofa")


async def started(catalog: Catalog, home: Path) -> World:
    world = World(catalog, home)
    await world.add(*TEXTS)
    await world.refresh()
    return world


async def found_by_new(world: World) -> list[str]:
    """What a fresh process finds with the new encoder, all of it."""
    other = World(world.catalog, world.home)
    other.encoder = NEW
    return sorted(await other.find("x", 50, Searcher(world.catalog, NEW.recipe, world.home)))


async def flip(world: World) -> int:
    stands = await standing(world.catalog, "c")
    return await switch(world.catalog, stands.collection.id, stands.expected_candidate(), NEW)


async def test_what_changes_meanwhile_is_on_both_sides(catalog: Catalog, home: Path) -> None:
    world = await started(catalog, home)
    old = await world.active()
    release = await prepare(catalog, "c", "pairs", NEW, home)
    assert (await world.active(), release.rows) == (old, 4)
    async with catalog.reading() as session:  # the release that answers is none the older for it
        assert await embeddings.count_since(session, (await world.collection()).id, old.generation) == 0
    await world.add("old clock")
    await world.refresh()
    await world.edit("lazy dog", "grey hound")
    await world.delete("red bus")
    answering = ["blue sofa", "old clock", "quick fox"]  # not the dog, which has been a hound since
    assert sorted(await world.find("x", 50)) == answering
    old = await world.active()
    assert await flip(world) == 2
    row = await world.collection()
    assert (row.active_release, row.previous_release, row.candidate_release) == (release.id, old.id, None)
    assert row.settings.encoder == "pairs"
    everything = sorted([*answering, "lazy dog"])
    assert await found_by_new(world) == everything
    assert sorted(await world.find("x", 50)) == answering  # a process that has not heard of it yet
    await world.add("green tree")
    stands = await standing(catalog, "c")
    assert stands.previous is not None
    assert await switch(catalog, row.id, stands.previous, world.encoder) == 2  # the edit and the tree
    row = await world.collection()
    assert (row.active_release, row.previous_release, row.settings.encoder) == (old.id, release.id, None)
    assert sorted(await world.find("x", 50)) == sorted([*everything, "green tree"])
    assert (await world.find("grey hound", 1))[0] == "lazy dog"


async def test_it_is_stopped_and_done_again(catalog: Catalog, home: Path) -> None:
    world = await started(catalog, home)
    first = await prepare(catalog, "c", "pairs", NEW, home)
    await world.add("old clock")

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await prepare(catalog, "c", "pairs", NEW, home, stop)
    with pytest.raises(NotFound, match="beside"):
        await flip(world)  # what the first one did not see was embedded unseen: it is no candidate any more
    await world.refresh(always=True)
    second = await prepare(catalog, "c", "pairs", NEW, home)
    assert (second.rows, first.rows) == (5, 4)
    await flip(world)
    assert await found_by_new(world) == sorted([*TEXTS, "old clock"])


async def test_wrong_ways_are_told(catalog: Catalog, home: Path) -> None:
    world = await started(catalog, home)
    before = await world.collection()
    with pytest.raises(BadInput, match="already"):
        await prepare(catalog, "c", None, world.encoder, home)
    release = await prepare(catalog, "c", "pairs", NEW, home)
    with pytest.raises(Conflict) as told:
        await switch(catalog, before.id, release, world.encoder)
    assert told.value.code == "encoder_differs"
    await flip(world)
    with pytest.raises(Conflict) as told:
        await build(catalog, before, world.encoder.recipe, home)  # by a worker that read the collection before
    assert told.value.code == "encoder_changed"
    assert await found_by_new(world) == sorted(TEXTS)
    await build(catalog, await world.collection(), NEW.recipe, home)
    await build(catalog, await world.collection(), NEW.recipe, home)
    with pytest.raises(Conflict) as told:
        await switch(catalog, before.id, release, NEW)
    assert told.value.code == "release_gone"


async def test_the_others_are_forgotten(catalog: Catalog, home: Path) -> None:
    world = await started(catalog, home)
    await prepare(catalog, "c", "pairs", NEW, home)
    await flip(world)
    assert await forget_others(catalog, "c") == 4
    stands = await standing(catalog, "c")
    assert (stands.previous, stands.candidate) == (None, None)
    assert await found_by_new(world) == sorted(TEXTS)
    assert releases_folder(home).is_dir()


async def test_publishing_goes_on_through_it_all(catalog: Catalog, home: Path) -> None:
    """A publisher and a worker of the old encoder are at it all the time; then the new one has every image."""
    world = await started(catalog, home)
    sent = set(TEXTS)
    random = np.random.default_rng(11)

    async def publisher() -> None:
        for _ in range(25):
            name = "".join(random.choice(list("abcdefghij"), 9))
            await world.add(name)
            sent.add(name)
            if random.random() < 0.3:
                gone = sorted(sent)[int(random.integers(len(sent)))]
                await world.delete(gone)
                sent.discard(gone)

    async def changer() -> None:
        await prepare(catalog, "c", "pairs", NEW, home)
        await asyncio.sleep(0.05)
        await flip(world)

    await asyncio.gather(publisher(), changer())
    other = World(catalog, home)
    other.encoder = NEW
    await other.refresh()
    assert await found_by_new(world) == sorted(sent)
