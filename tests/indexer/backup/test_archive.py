"""A snapshot holds all of a collection and never brings back what was erased."""

import asyncio
import threading
from pathlib import Path

import pytest

from indexer.backup.file import opened
from indexer.backup.restore import restore
from indexer.releases.refresh import refresh
from scenes.catalog import collections, history, images
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.errors import Conflict
from scenes.identity import external_image_id, image_id
from tests.indexer.backup.installations import TEXTS, answers, everything, ids, put_back, spoken, take
from tests.indexer.letters import BagOfLetters
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]


async def test_another_installation_holds_the_same_and_answers_the_same(
    world: World, elsewhere: Catalog, home: Path, tmp_path: Path
) -> None:
    path = await take(world)
    assert path.stat().st_mode & 0o077 == 0
    done = await put_back(elsewhere, path, "copy")
    assert (done.images, done.descriptions, done.vectors, done.erased) == (6, 8, 7, 0)
    assert await everything(elsewhere, "copy") == await everything(world.catalog, "c")
    for query in ("fox", "hound", "owl", "bus"):
        expected = await answers(world.catalog, home, "c", query)
        assert await answers(elsewhere, tmp_path, "copy", query) == expected
    done_again = await refresh(elsewhere, "copy", BagOfLetters(), tmp_path)
    assert (done_again.embedded, done_again.release is not None) == (0, True)
    assert await answers(elsewhere, tmp_path, "copy", "dog") == await answers(world.catalog, home, "c", "dog")
    async with elsewhere.writing() as session:
        row = await collections.get(session, "copy")
        view = await images.get(session, row.id, external_image_id("lazy dog"))
        undone = await history.undo(session, row.id, view.image_id, view.description_id)
        assert undone.description.detail == "sleepy cat"
    with pytest.raises(Conflict, match="exists already"):
        await put_back(elsewhere, path, "copy")


async def test_what_was_erased_since_stays_away(world: World, elsewhere: Catalog) -> None:
    path = await take(world)
    await world.delete("quick fox")
    done = await put_back(world.catalog, path, "d")
    assert (done.images, done.erased) == (5, 1)
    left = set(TEXTS) - {"quick fox"} | {"owl"}
    assert await ids(world.catalog, "d") == left
    async with world.catalog.writing() as session:
        row = await collections.get(session, "d")
        await images.delete(session, row.id, [external_image_id("old clock"), image_id(b"2")])
        for name in ("c", "d"):
            await collections.delete(session, name)
    done = await put_back(world.catalog, path, "c")
    assert (done.images, done.erased) == (4, 2)
    assert await ids(world.catalog, "c") == left - {"old clock"}
    async with world.catalog.reading() as session:
        row = await collections.get(session, "c")
        assert (await collections.counts(session, row.id)).failed == 0
    await world.add("quick fox")
    again = await take(world)
    async with world.catalog.writing() as session:
        await collections.delete(session, "c")
    assert (await put_back(world.catalog, again, "c")).erased == 0
    assert "quick fox" in await ids(world.catalog, "c")
    # another installation learns of erasures by the snapshot, and adds its own
    assert (await put_back(elsewhere, again, "x")).images == 5
    async with elsewhere.writing() as session:
        row = await collections.get(session, "x")
        await images.delete(session, row.id, [external_image_id("quick fox")])
    assert (await put_back(elsewhere, again, "y")).erased == 1
    assert "quick fox" not in await ids(elsewhere, "y")


async def test_what_is_erased_while_it_is_restored_stays_away(world: World, database_url: str) -> None:
    path = await take(world)
    pending = ["quick fox"]
    with opened(path) as archive:
        pages = 0

        class Erasing:
            """An archive during whose reading somebody erases an image that was restored already."""

            manifest = archive.manifest

            def rows(self, part: object) -> list[dict[str, object]]:
                nonlocal pages
                pages += 1
                if pages == len(archive.manifest.parts) and pending:
                    erase(pending.pop())
                return archive.rows(part)  # type: ignore[arg-type]

        def erase(name: str) -> None:
            thread = threading.Thread(target=lambda: asyncio.run(_erase(database_url, name)))
            thread.start()
            thread.join(20)

        done = await restore(world.catalog, Erasing(), Collection(name="d"))  # type: ignore[arg-type]
    assert (pending, done.erased) == ([], 1)
    assert "quick fox" not in await ids(world.catalog, "d")


async def _erase(database_url: str, name: str) -> None:
    catalog = Catalog.connect(spoken(database_url))
    async with catalog.writing() as session:
        row = await collections.get(session, "c")
        await images.delete(session, row.id, [external_image_id(name)])
    await catalog.close()
