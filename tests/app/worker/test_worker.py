"""The worker: what is published without an index is found, one sick collection costs no other, changes are heard."""

import asyncio
import gc
import json
import uuid
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.worker.worker import UNFORESEEN, Around, Worker
from indexer.encoding.embedding import Tick
from indexer.encoding.encoder import Encoded, Encoder
from indexer.releases.cleanup import sweep
from scenes.catalog import collections, publishing, releases
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.catalog.searches import StoredSearch, store
from scenes.collection import Collection
from scenes.description import SceneDescription
from scenes.errors import BadInput, EnvironmentMissing
from scenes.identity import external_image_id
from tests import command_server
from tests.app.conftest import Command
from tests.indexer.letters import BagOfLetters

pytestmark = pytest.mark.postgres
FOREVER = timedelta(hours=1)
SECRET = "words of a user"


@contextmanager
def quiet(_title: str) -> Iterator[Tick]:
    yield lambda _done, _total: None


class World:
    def __init__(self, catalog: Catalog, home: Path) -> None:
        self.catalog, self.said, self.loaded = catalog, list[str](), Counter[str | None]()
        self.encoder = BagOfLetters()
        self.worker = Worker(catalog, home, Around(self.load, self.said.append, quiet))

    def load(self, name: str | None) -> Encoder:
        self.loaded[name] += 1
        if name == "sick":
            raise BadInput("encoder_unknown", "there is no encoder 'sick'")
        if name == "broken":
            raise ValueError(SECRET)
        return self.encoder

    async def publish(self, name: str, *texts: str, encoder: str | None = None) -> None:
        await publish(self.catalog, Collection(name=name, encoder=encoder), *texts)

    async def rows(self, name: str) -> int:
        async with self.catalog.reading() as session:
            release = await releases.active(session, (await collections.get(session, name)).id)
        return release.rows if release else 0


async def publish(catalog: Catalog, settings: Collection, *texts: str) -> None:
    rows = [
        Publication(external_image_id(t), "external", SceneDescription(detail=t), "import", t, external_id=t)
        for t in texts
    ]
    async with catalog.writing() as session:
        row = await collections.ensure(session, settings)
        await publishing.publish(session, row.id, rows)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await true():  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.05)


@pytest.fixture
def world(catalog: Catalog, home: Path) -> World:
    return World(catalog, home)


async def test_a_round_tends_all_and_a_sick_collection_costs_no_other_its_turn(world: World) -> None:
    await world.publish("a-sick-one", "x", encoder="sick")
    await world.publish("healthy", "a cat", "a dog")
    await world.worker.go_round()
    assert await world.rows("healthy") == 2
    assert world.worker.work.failed == {"a-sick-one": "there is no encoder 'sick'"}
    assert (world.worker.work.embedded, world.worker.work.releases) == (2, 1)


class Meanwhile(BagOfLetters):
    """An encoder during whose first work something happens."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self.happens = happens

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        self.happens()
        self.happens = lambda: None
        return super().encode_documents(texts)


async def test_a_collection_that_is_deleted_while_it_is_embedded_costs_no_other_its_turn(
    world: World, database_url: str
) -> None:
    def delete() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM collections WHERE name = 'a-doomed-one'")

    world.encoder = Meanwhile(delete)
    await world.publish("a-doomed-one", "x")
    await world.publish("healthy", "a cat", "a dog")
    await world.worker.go_round()
    assert await world.rows("healthy") == 2
    assert any("a-doomed-one: deleted meanwhile" in line for line in world.said)
    assert world.worker.work.failed == {}


async def test_an_error_that_nobody_foresaw_costs_no_other_its_turn_and_is_tried_again_later(world: World) -> None:
    await world.publish("a-broken-one", "x", encoder="broken")
    await world.publish("healthy", "a cat")
    for _ in range(3):
        await world.publish("healthy", "a dog")
        await world.worker.go_round()
    assert await world.rows("healthy") == 2
    assert world.worker.work.failed == {"a-broken-one": UNFORESEEN}
    assert world.loaded["broken"] == 1
    said = "\n".join(world.said)
    assert "in load" in said
    assert "ValueError" in said
    assert SECRET not in said


async def test_a_collection_at_rest_is_left_alone_until_it_changes(world: World) -> None:
    await world.publish("c", "a cat")
    for _ in range(3):
        await world.worker.go_round()
    loaded = world.worker.work
    assert (loaded.embedded, loaded.releases) == (1, 1)
    await world.publish("c", "a dog")
    await world.worker.go_round()
    assert await world.rows("c") == 2


async def test_expired_searches_are_purged(world: World) -> None:
    await world.publish("c", "a cat")
    now = datetime.now(UTC)
    async with world.catalog.writing() as session:
        row = await collections.get(session, "c")
        await store(
            session, [StoredSearch(uuid.uuid4(), row.id, None, None, None, 1, (), now, now - timedelta(days=1))]
        )
    await world.worker.go_round()
    assert world.worker.work.purged == 1


async def test_releases_of_a_deleted_collection_are_swept_and_no_others(world: World, home: Path) -> None:
    for name in ("kept", "doomed"):
        await world.publish(name, "a cat")
    await world.worker.go_round()
    async with world.catalog.writing() as session:
        kept = (await collections.get(session, "kept")).id
        doomed = (await collections.delete(session, "doomed")).id
    elsewhere = home / "releases" / "1000000"  # another catalog's, that this one never knew
    for folder in (elsewhere, home / "releases" / "not-a-number"):
        folder.mkdir()
    await world.worker.go_round()
    left = {path.name for path in (home / "releases").iterdir()}
    assert left == {str(kept), elsewhere.name, "not-a-number"}
    assert str(doomed) not in left
    assert world.worker.work.swept == 1
    assert await world.rows("kept") == 1


async def test_nothing_is_swept_while_postgres_is_away(home: Path) -> None:
    folder = home / "releases" / "1"
    folder.mkdir(parents=True)
    away = Catalog.connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(EnvironmentMissing):
        await sweep(away, home)
    assert folder.is_dir()


async def test_a_change_is_heard_also_after_postgres_dropped_the_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.worker.RETRY", timedelta(seconds=0.1))
    keeping = asyncio.create_task(world.worker.keep(FOREVER))

    async def listens() -> bool:
        return bool(await listeners(world.catalog, "SELECT count(*)"))

    async def heard(name: str) -> None:
        async def there() -> bool:
            return await world.rows(name) == 1

        await world.publish(name, "a cat")
        await until(there)

    await until(listens)
    await heard("one")
    await listeners(world.catalog, "SELECT count(pg_terminate_backend(pid))")
    await until(lambda: asyncio.sleep(0, any("trying again" in line for line in world.said)))
    await until(listens)
    await heard("two")
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_the_worker_outlives_single_errors_of_its_own_but_not_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.worker.RETRY", timedelta(seconds=0.05))
    await world.publish("c", "a cat")
    async with world.catalog.writing() as session:
        await session.execute(text("ALTER TABLE searches RENAME TO hidden"))
    with pytest.raises(ProgrammingError):
        async with asyncio.timeout(20):
            await world.worker.keep(FOREVER)
    assert sum("trying again" in line for line in world.said) == 4
    async with world.catalog.writing() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO searches"))
    keeping = asyncio.create_task(world.worker.keep(FOREVER))

    async def there() -> bool:
        return await world.rows("c") == 1

    await until(there)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def listeners(catalog: Catalog, what: str) -> int:
    """Something about the connections of this database that listen."""
    theirs = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    async with catalog.reading() as session:
        return int((await session.execute(text(f"{what} {theirs}"))).scalar_one())


@pytest.mark.cli
@pytest.mark.encoder
async def test_the_command_makes_what_was_published_findable(command: Command, catalog: Catalog) -> None:
    await publish(catalog, Collection(name="animals"), "A ginger cat on a sofa.", "Two dogs on a beach.")
    done = await asyncio.to_thread(command.json, "worker", "--once")
    assert (done["embedded"], done["releases"], done["failed"]) == (2, 1, {})
    found = await asyncio.to_thread(command.json, "search", "dogs running by the sea", "-c", "animals")
    assert found["results"][0]["external_id"] == "Two dogs on a beach."
    assert found["release"] is not None


@pytest.mark.cli
@pytest.mark.encoder
async def test_the_command_runs_until_it_is_stopped(command: Command, catalog: Catalog) -> None:
    worker = command_server.Captured(["worker", "--every", "3600", "--json"], command.environment)

    async def embedded() -> bool:
        with psycopg.connect(command.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM embeddings").fetchone()
        return bool(row and row[0] == 1)

    async def listens() -> bool:
        return bool(await listeners(catalog, "SELECT count(*)"))

    try:
        await until(listens)
        await publish(catalog, Collection(name="animals"), "A ginger cat on a sofa.")
        await until(embedded)
    finally:
        worker.process.terminate()
        done = await asyncio.to_thread(worker.finish, 60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rounds"] >= 2
    assert "Traceback" not in done.stderr


async def test_a_deleted_collection_is_forgotten_with_its_encoder(world: World) -> None:
    kept, gone = weakref.ref(world.encoder), BagOfLetters()
    other = weakref.ref(gone)
    await world.publish("a", "a cat")
    await world.worker.go_round()
    world.encoder = gone
    await world.publish("b", "a dog", encoder="other")
    await world.worker.go_round()
    del gone
    world.encoder = BagOfLetters()
    gc.collect()
    assert (kept() is None, other() is None) == (False, False)
    async with world.catalog.writing() as session:
        await collections.delete(session, "b")
    await world.worker.go_round()
    gc.collect()
    assert (kept() is None, other() is None) == (False, True)
