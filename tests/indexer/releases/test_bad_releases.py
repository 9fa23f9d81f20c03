"""Whatever happens to a release or to its building: the last good one answers, and says so."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.releases.release import build, prune, releases_folder
from indexer.releases.searcher import Searcher
from scenes.artifact import MANIFEST
from scenes.catalog.connection import Catalog
from scenes.recipe import IndexRecipe
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
GRAPH = IndexRecipe(kind="hnsw-int8", parameters={"size": 4})
FILES = ("ids.i64", "index.faiss", "index.json", "vectors.f32", "vectors.json", MANIFEST)
BUILDS = """
import asyncio, sys
from pathlib import Path
from indexer.releases.release import build
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from tests.indexer.letters import BagOfLetters

async def main():
    catalog = Catalog.connect(sys.argv[1])
    async with catalog.reading() as session:
        row = await collections.get(session, "c")
    print("building", flush=True)
    while True:
        await build(catalog, row, BagOfLetters.recipe, Path(sys.argv[2]))

asyncio.run(main())
"""


async def two_releases(catalog: Catalog, home: Path) -> World:
    """The active one a graph over one image more."""
    world = World(catalog, home)
    await world.add(*(f"text {i}" for i in range(30)))
    await world.refresh()
    await world.add("zzz")
    await world.refresh()
    await build(catalog, await world.collection(), world.encoder.recipe, home, GRAPH)
    return world


@pytest.mark.parametrize("name", FILES)
async def test_a_cut_file_is_told_and_the_previous_release_answers(catalog: Catalog, home: Path, name: str) -> None:
    world = await two_releases(catalog, home)
    folder = releases_folder(home) / (await world.active()).folder
    assert {path.name for path in folder.iterdir()} == set(FILES)
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    searcher = Searcher(catalog, world.encoder.recipe, home)
    assert (await world.find("zzz", 1, searcher)) == ["zzz"]
    snapshot = await world.snapshot(searcher)
    assert snapshot.release is not None
    assert snapshot.release.id != (await world.active()).id
    assert list(searcher.troubles()) == [snapshot.collection_id]


async def test_a_release_of_another_encoder_is_told_and_not_searched(
    catalog: Catalog, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = await two_releases(catalog, home)
    other = world.encoder.recipe.model_copy(update={"model": "other"})
    searcher = Searcher(catalog, other, home)
    snapshot = await world.snapshot(searcher)
    assert (snapshot.release, snapshot.index, len(snapshot.delta.rows)) == (None, None, 0)
    assert "its active release is another encoder's" in caplog.text


async def test_builds_killed_by_the_system_lose_nothing(catalog: Catalog, home: Path, database_url: str) -> None:
    world = await two_releases(catalog, home)
    random = np.random.default_rng(2)
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = (sys.executable, "-c", BUILDS, url, str(home))
    for turn in range(4):
        running = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        assert running.stdout is not None
        assert await running.stdout.readline() == b"building\n"
        await asyncio.sleep(float(random.uniform(0, 0.15)))
        running.send_signal(signal.SIGKILL)
        assert await running.wait() == -signal.SIGKILL
        await world.add(f"yyy {turn}")
        await world.refresh()
        assert (await world.find(f"yyy {turn}", 1, Searcher(catalog, world.encoder.recipe, home))) == [f"yyy {turn}"]
        assert world.searcher.troubles() == {}
    collection = await world.collection()
    await asyncio.wait_for(build(catalog, collection, world.encoder.recipe, home), 30)  # no lock was left behind
    await prune(catalog, collection.id, home)
    assert len(list((releases_folder(home) / str(collection.id)).iterdir())) == 2
    assert len(await world.find("zzz", 100)) == 35


async def test_without_a_folder_for_releases_the_next_build_makes_one(catalog: Catalog, home: Path) -> None:
    world = await two_releases(catalog, home)
    shutil.rmtree(releases_folder(home))
    searcher = Searcher(catalog, world.encoder.recipe, home)
    assert (await world.find("zzz", 1, searcher)) == ["zzz"]
    await world.refresh(always=True)
    assert (await world.find("zzz", 1)) == ["zzz"]
    assert world.searcher.troubles() == {}
