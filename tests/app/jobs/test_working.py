"""Jobs from start to end: described, published, searchable; refused, cancelled, interrupted; uploads leave nothing."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from sqlalchemy import select, text

from app.http.security import Secret
from app.jobs.service import Desk
from app.uploads.spool import Spool
from scenes.catalog import collections, jobs
from scenes.catalog.connection import Catalog
from scenes.catalog.jobs import JobRow
from scenes.catalog.tables import outcomes
from scenes.errors import BadInput, Conflict, EnvironmentMissing, Forbidden, Overloaded
from tests.app.jobs.working import config, make_collection, shift_of
from tests.captioner.conftest import png
from tests.captioner.redaction.test_canary import found_in, jpeg, needles
from tests.captioner.scripted_server import scripted
from tests.captioner.sources.test_guard import serving

pytestmark = [pytest.mark.postgres, pytest.mark.http]
world_every = timedelta(seconds=0.5)


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with scripted() as url:
        yield url


class World:
    def __init__(self, catalog: Catalog, home: Path, database_url: str, engine: str) -> None:
        self.catalog, self.home, self.said = catalog, home, list[str]()
        self.photos = home / "photos"
        self.photos.mkdir()
        self.config = config(home, database_url, engine, [str(self.photos)])
        self.desk = Desk(catalog, Spool(self.config.spool, Secret.load(home)), self.config.job_sources, 5)

    def fill(self, n: int) -> None:
        for i in range(n):
            (self.photos / f"{i}.png").write_bytes(png((i, 99, 7)))

    async def start(self, kind: str = "ingest", source: str | None = None) -> JobRow:
        named = None if kind == "index" else source or str(self.photos)
        return await self.desk.start(kind, "pets", named, "key_1")  # type: ignore[arg-type]

    async def once(self) -> None:
        async with shift_of(self.catalog, self.config, self.said) as shift:
            await shift.once()

    async def job(self, job: JobRow) -> JobRow:
        async with self.catalog.reading() as session:
            return await jobs.get(session, job.id)

    async def until_described(self, job: JobRow) -> None:
        async with asyncio.timeout(60):
            while not (await self.job(job)).counts.get("described"):  # noqa: ASYNC110 - told in the database
                await asyncio.sleep(0.05)

    async def images(self) -> int:
        async with self.catalog.reading() as session:
            return (await collections.counts(session, (await collections.get(session, "pets")).id)).images

    async def database_folder(self) -> Path:
        """Where Postgres keeps its files, all of them written."""
        async with self.catalog.writing() as session:
            await session.execute(text("CHECKPOINT"))
            folder = Path((await session.execute(text("SHOW data_directory"))).scalar_one())
        assert (folder / "PG_VERSION").is_file()
        return folder

    async def upload(self, data: bytes) -> JobRow:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        job_id = uuid.uuid4()
        sealed = await self.desk.spool.take(job_id, chunks())
        async with self.catalog.reading() as session:
            row = await collections.get(session, "pets")
        return await self.desk.start_upload(job_id, row, sealed, None, "key_1")


@pytest.fixture
async def world(catalog: Catalog, home: Path, database_url: str, engine: str) -> World:
    await make_collection(catalog)
    return World(catalog, home, database_url, engine)


async def test_an_ingestion_describes_publishes_and_indexes(world: World) -> None:
    world.fill(7)
    (world.photos / "broken.png").write_bytes(b"no image")
    job = await world.start()
    assert job.state == "queued"
    await world.once()
    done = await world.job(job)
    assert (done.state, done.error, done.attempt) == ("done", None, 1)
    assert done.counts == {"inputs": 8, "described": 7, "refused": 1, "failed": 0, "already": 0}
    assert done.reasons == {"not_an_image": 1}
    assert await world.images() == 7
    async with world.catalog.reading() as session:
        assert (await collections.get(session, "pets")).active_release is not None
    assert not any((world.home / "batches" / "jobs").iterdir())
    again = await world.start()
    built = await world.start("index")
    await world.once()
    assert (await world.job(again)).counts["already"] == 8
    assert (await world.job(built)).state == "done"


async def test_what_was_not_allowed_is_not_read(world: World) -> None:
    world.fill(1)
    secret = world.home / "secret.png"
    secret.write_bytes(png((1, 2, 3)))
    (world.photos / "link.png").symlink_to(secret)
    (world.photos / "list.txt").write_text(f"{secret}\nhttp://127.0.0.1:9/x.png\n0.png\n")
    (world.photos / "out").symlink_to(world.home)
    for source in (str(secret), "http://169.254.169.254/x", f"{world.photos}/../secret.png"):
        with pytest.raises(Forbidden):
            await world.start(source=source)
    folder, listed = await world.start(), await world.start(source=str(world.photos / "list.txt"))
    through = await world.start(source=str(world.photos / "out" / "secret.png"))
    await world.once()
    # the list itself is a file of the folder that is no image
    assert (await world.job(folder)).counts == {
        "inputs": 3, "described": 1, "refused": 1, "failed": 1, "already": 0,
    }  # fmt: skip
    assert (await world.job(listed)).reasons == {"read_error": 2}
    error = (await world.job(through)).error
    assert error is not None
    assert error["code"] == "source_not_allowed"
    assert await world.images() == 1


async def test_a_redirect_leads_no_job_elsewhere(world: World) -> None:
    """Through a fragment, through a list file, through another spelling: the other host is never asked."""
    there: list[str] = []
    with (
        serving(lambda _path: (200, {}, png((1, 2, 3)))) as (secret, reached),
        serving(lambda _path: (302, {"Location": there[0]}, b"")) as (web, asked),
    ):
        there.append(f"{secret}/x.png")
        world.config = world.config.model_copy(update={"job_sources": (str(world.photos), f"{web}/in")})
        world.desk = replace(world.desk, sources=world.config.job_sources)
        urls = [f"{web}/in/redir.png#row=0", f"{web}/in/redir.parquet#row=1", f"{web}/in/redir.png"]
        (world.photos / "list.txt").write_text("\n".join([*urls, f"{secret}/x.png#row=0"]))
        started = [await world.start(source=one) for one in (*urls, str(world.photos / "list.txt"))]
        await world.once()
        counts = [(await world.job(job)).counts for job in started]
    assert [one["failed"] for one in counts] == [1, 1, 1, 4]
    assert (len(asked), reached) == (6, [])
    assert await world.images() == 0


async def test_a_key_may_have_only_so_many_and_a_missing_engine_is_told(world: World) -> None:
    for _ in range(5):
        await world.start("index")
    with pytest.raises(Overloaded) as told:
        await world.start("index")
    assert told.value.code == "too_many_jobs"
    async with world.catalog.writing() as session:
        row = await collections.get(session, "pets")
        await collections.update(session, row.settings.model_copy(update={"engine": None}))
    with pytest.raises(BadInput) as missing:
        await world.start()
    assert missing.value.code == "engine_not_chosen"
    with pytest.raises(BadInput):
        await world.desk.check_upload("pets")


async def test_a_job_that_fails_says_why(world: World) -> None:
    job = await world.start("publish", str(world.photos / "nothing"))
    await world.once()
    done = await world.job(job)
    assert done.state == "failed"
    assert done.error is not None
    assert done.error["code"] == "batches_missing"


async def test_a_cancelled_job_keeps_what_it_has(world: World) -> None:
    world.fill(200)
    waiting, running = await world.start("index"), await world.start()
    assert (await world.desk.cancel(waiting.id, "key_1")).state == "cancelled"
    working = asyncio.create_task(world.once())
    await world.until_described(running)
    await world.desk.cancel(running.id, "key_1")
    await working
    done = await world.job(running)
    assert done.state == "cancelled"
    assert 0 < done.counts["described"] < 200
    assert await world.images() == done.counts["described"]
    with pytest.raises(Conflict):
        await world.desk.cancel(running.id, "key_1")


async def test_a_job_goes_on_after_its_worker_stopped(world: World) -> None:
    world.fill(120)
    job = await world.start()
    async with shift_of(world.catalog, world.config, world.said) as shift:
        working = asyncio.create_task(shift.keep(world_every))
        await world.until_described(job)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    stopped = await world.job(job)
    assert stopped.state == "queued"
    assert stopped.counts["described"] < 120
    await world.once()
    done = await world.job(job)
    assert (done.state, done.attempt) == ("done", 2)
    assert (done.counts["inputs"], done.counts["already"]) == (120, 0)
    assert done.counts["failed"] < 20  # those that the server never describes
    assert await world.images() == done.counts["described"] == 120 - done.counts["failed"]


async def test_an_upload_is_described_and_nothing_of_it_is_left(world: World) -> None:
    images = [jpeg(n) for n in range(3)]
    whole, keyless, gone = [await world.upload(data) for data in images]
    assert found_in(world.home, needles(images)) == []
    assert len(list(world.config.spool.iterdir())) == 3
    async with world.catalog.writing() as session:
        await jobs._forget_key(session, keyless.id)
    world.desk.spool.drop(gone.id)
    await world.once()
    done = await world.job(whole)
    assert (done.state, done.counts["described"]) == ("done", 1)
    for lost in (keyless, gone):
        row = await world.job(lost)
        assert (row.state, row.reasons) == ("done", {"upload_lost": 1})
    async with world.catalog.reading() as session:
        row_id = (await collections.get(session, "pets")).id
        stored = await session.execute(select(outcomes.c.reason).where(outcomes.c.collection_id == row_id))
        assert stored.scalars().all() == ["upload_lost"] * 2
        assert await jobs.upload_key(session, whole.id) is None
    assert not any(world.config.spool.iterdir())
    assert found_in(world.home, needles(images)) == []
    assert found_in(await world.database_folder(), needles(images)) == []


async def test_a_copy_of_the_database_opens_no_upload(world: World) -> None:
    """Not even with a copy of the sealed file: neither while the image waits nor after it was deleted."""
    data, secret = jpeg(7), Secret.load(world.home)
    job = await world.upload(data)
    async with world.catalog.reading() as session:
        stored = await jobs.upload_key(session, job.id)
    assert stored is not None
    key = stored if len(stored) == 32 else aes_key_unwrap(secret.digest("upload-key", str(job.id)), stored)
    copied = world.home / "copied"
    shutil.copytree(world.config.spool, copied)
    assert Spool(copied, secret).read(job.id, key) == data
    for over in (False, True):
        if over:
            await world.desk.cancel(job.id, "key_1")
        files = [path.read_bytes() for path in (await world.database_folder()).rglob("*") if path.is_file()]
        assert [key in one for one in files].count(True) == 0
        assert any(stored in one for one in files), "it is looked for in the right place"
        with pytest.raises(EnvironmentMissing):
            Spool(copied, Secret(b"x" * 32)).read(job.id, stored)
    async with world.catalog.reading() as session:
        assert await jobs.upload_key(session, job.id) is None


async def test_an_upload_waits_for_a_worker_with_the_right_secret(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    job = await world.upload(jpeg(8))
    right = world.config
    world.config = right.model_copy(update={"secret": "another secret of 32 characters or more"})
    await world.once()
    waiting = await world.job(job)
    assert (waiting.state, waiting.attempt) == ("queued", 1)
    assert "sealed by a server with another secret; again in 2 s" in capsys.readouterr().err
    world.config = right
    await asyncio.sleep(2)
    await world.once()
    assert (await world.job(job)).counts["described"] == 1


async def test_leftovers_of_lost_uploads_are_swept(world: World) -> None:
    orphan = uuid.uuid4()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    await world.desk.spool.take(orphan, chunks())
    kept = await world.upload(png((5, 5, 5)))
    old = world.desk.spool.older_than(0)
    async with shift_of(world.catalog, world.config, world.said) as shift:
        object.__setattr__(shift._leftovers, "old", lambda: old)
        await shift.look_after()
    assert world.desk.spool.older_than(0) == [kept.id]
