"""A snapshot holds all of a collection, is believed only whole, and never brings back what was erased."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from indexer.archive import taking
from indexer.archive.file import opened
from indexer.archive.manifest import MANIFEST, SIGNATURE, Manifest, signed
from indexer.archive.restoring import Restored, restore
from indexer.refresh import refresh
from indexer.searcher import Searcher
from scenes.catalog import collections, history, images, publishing, recipes
from scenes.catalog.collections import CollectionRow
from scenes.catalog.engine import Catalog
from scenes.catalog.migrations import migrate
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import BadInput, Conflict, Corrupt, NotFound, WordsightError
from scenes.identity import external_image_id, image_id
from scenes.outcome import Failed, FailureReason
from scenes.recipe import CaptionRecipe
from scenes.signing import Signer
from tests.indexer.letters import BagOfLetters
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
TEXTS = ("quick fox", "lazy dog", "red bus", "blue sofa", "old clock")
RECIPE = CaptionRecipe(engine="basic", model="m", prompt="p-1")


@pytest.fixture
async def world(catalog: Catalog, home: Path) -> World:
    """Five imports, one of them edited twice, a machine's description, a failure, an erased image that came back."""
    world = World(catalog, home)
    await world.add(*TEXTS)
    await world.edit("lazy dog", "sleepy cat")
    await world.refresh()
    await world.edit("lazy dog", "grey hound")
    await world.delete("red bus")
    await world.add("red bus")
    machine = Publication(
        image_id(b"1"),
        "bytes",
        SceneDescription(detail="an owl"),
        "machine",
        RECIPE.fingerprint(),
        recipe=RECIPE.fingerprint(),
        external_id="owl",
        uris=("file:///b.jpg", "file:///a.jpg"),
        metadata={"year": 2020, "tags": ["ü", None]},
        support={"/detail": 0.5},
        notes=("cut",),
    )
    failure = Failed(image_id=image_id(b"2"), reason=FailureReason.READ_ERROR, detail="gone")
    async with catalog.writing() as session:
        row = await collections.get(session, "c")
        await recipes.remember_caption(session, RECIPE)
        await publishing.publish(session, row.id, [machine])
        await publishing.record_outcomes(session, row.id, [(failure, "file:///2.jpg", RECIPE.fingerprint())])
    await world.refresh(always=True)
    return world


@pytest.fixture
async def elsewhere(postgres_server: str) -> AsyncIterator[Catalog]:
    """The catalog of another installation."""
    name = f"t_{uuid.uuid4().hex}"
    plain = postgres_server.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        url = postgres_server.replace("/postgres?", f"/{name}?")
        migrate(url)
        catalog = Catalog.connect(url)
        yield catalog
        await catalog.close()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def spoken(database_url: str) -> str:
    return database_url.replace("postgresql://", "postgresql+psycopg://")


async def take(world: World, name: str = "c") -> Path:
    path = world.home / "c.snapshot"
    await taking.take(world.catalog, name, path, Signer.load(world.home), images_a_part=2)
    return path


async def put_back(catalog: Catalog, path: Path, name: str) -> Restored:
    with opened(path) as archive:
        return await restore(catalog, archive, Collection(name=name))


async def everything(catalog: Catalog, name: str) -> list[object]:
    """All that a collection holds, without the numbers that hold in one catalog only."""
    current = (
        "SELECT i.image_id, id_from, external_id, metadata, perceptual_hash, i.created_at, d.body FROM images i"
        " JOIN descriptions d ON d.id = i.description_id WHERE collection_id = :c ORDER BY i.id"
    )
    uris = (
        "SELECT i.image_id, uri, u.created_at FROM image_uris u JOIN images i ON i.id = u.image"
        " WHERE collection_id = :c ORDER BY i.id, uri"
    )
    texts = (
        "SELECT i.image_id, d.source, d.variant, d.recipe, d.body, d.support, d.usage, d.notes, d.created_at,"
        " e.encoder, e.vectors, e.words, e.truncated FROM descriptions d JOIN images i ON i.id = d.image"
        " LEFT JOIN embeddings e ON e.description_id = d.id WHERE collection_id = :c ORDER BY i.id, d.id"
    )
    ended = "SELECT image_id, recipe, kind, reason, detail, uri, at FROM outcomes WHERE collection_id = :c ORDER BY 1"
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        found = [(await session.execute(text(one), {"c": row.id})).all() for one in (current, uris, texts, ended)]
    return [[tuple(one) for one in rows] for rows in found]


async def answers(catalog: Catalog, home: Path, name: str, query: str) -> list[tuple[str, float]]:
    encoder = BagOfLetters()
    async with catalog.reading() as session:
        row = await collections.get(session, name)
    snapshot = await Searcher(catalog, encoder.recipe, home).snapshot(row)
    found = snapshot.search(encoder.encode_queries([query]).vectors[0], 10)
    async with catalog.reading() as session:
        views = await images.by_rows(session, row.id, found.rows.tolist())
    return [(views[one].image_id, score) for one, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True)]


async def ids(catalog: Catalog, name: str) -> set[str]:
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        return {view.external_id or "" for view in await images.page(session, row.id)}


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


async def rows_of(catalog: Catalog) -> list[CollectionRow]:
    async with catalog.reading() as session:
        return await collections.all_(session)


async def test_a_damaged_file_is_told_and_nothing_of_it_is_taken(world: World) -> None:
    path = await take(world)
    good = path.read_bytes()
    before = await rows_of(world.catalog)
    broken = world.home / "broken"
    codes = set()
    step = max(1, len(good) // 150)
    damages = [good[:cut] for cut in range(0, len(good) - 1, step)]
    damages += [good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :] for at in range(0, len(good), step)]
    intact = 0
    for data in damages:
        broken.write_bytes(data)
        try:
            with opened(broken) as archive:
                for part in archive.manifest.parts:
                    archive.rows(part)
            intact += 1  # a byte that no reader looks at, such as a time within the zip
        except Corrupt as error:
            codes.add(error.code)
    assert intact < len(damages) / 10
    assert codes == {"snapshot_unreadable", "snapshot_altered"}
    assert await rows_of(world.catalog) == before
    with pytest.raises(NotFound), opened(world.home / "nothing"):
        pass


def rewritten(path: Path, change: dict[str, object], signer: Signer, stray: bool = False) -> None:
    """The same parts under a changed manifest, signed anew."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    body = json.loads(members[MANIFEST]) | change
    manifest = Manifest.model_construct(**body)
    members[MANIFEST], members[SIGNATURE] = signed(manifest, signer)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in (members | ({"notes.txt": b"x"} if stray else {})).items():
            new.writestr(name, data)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_only_what_its_signer_signed_is_read(world: World, tmp_path: Path) -> None:
    path, own, other = await take(world), Signer.load(world.home), Signer.load(tmp_path)
    good = path.read_bytes()

    def told(change: dict[str, object], signer: Signer, stray: bool = False) -> WordsightError:
        path.write_bytes(good)
        rewritten(path, change, signer, stray)
        with pytest.raises(WordsightError) as error, opened(path):
            pass
        return error.value

    assert told({}, other).code == "snapshot_signature_wrong"
    assert told({}, own, stray=True).code == "snapshot_altered"
    newer = told({"version": 2}, own)
    assert (newer.code, isinstance(newer, BadInput)) == ("snapshot_version_unknown", True)
    assert told({"parts": []}, own).code == "snapshot_altered"
    assert told({"more": 1, "generation": "x"}, own).code == "snapshot_unreadable"
    path.write_bytes(good)
    rewritten(path, {"signed_by": other.public_key}, other)
    with opened(path) as archive:
        assert archive.manifest.signed_by == other.public_key != own.public_key


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from indexer.archive.file import opened
from indexer.archive.restoring import restore
from indexer.archive.taking import take
from scenes.catalog.engine import Catalog
from scenes.collection import Collection
from scenes.signing import Signer

what, url, path, at = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])

def tick(done, total):
    if done >= at:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    catalog = Catalog.connect(url)
    if what == "take":
        await take(catalog, "c", path, Signer.load(path.parent), tick, images_a_part=2)
    else:
        with opened(path) as archive:
            await restore(catalog, archive, Collection(name="d"), tick=tick)

asyncio.run(main())
"""


@pytest.mark.parametrize("at", [1, 6])
async def test_killed_it_never_was_and_can_be_done_again(world: World, database_url: str, at: int) -> None:
    path = await take(world)
    good, before = path.read_bytes(), await rows_of(world.catalog)
    url = spoken(database_url)
    for what in ("take", "restore"):
        words = [sys.executable, "-c", KILLED, what, url, str(path), str(at)]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert path.read_bytes() == good
        assert await rows_of(world.catalog) == before
    assert (await put_back(world.catalog, path, "d")).images == 6
