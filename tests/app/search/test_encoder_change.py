"""A running server changes a collection's encoder without a request that fails or waits for it."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest

from indexer.encoder import Encoder
from indexer.encoder_change import prepare, standing, switch
from scenes.catalog import releases
from scenes.catalog.engine import Catalog
from tests.app.live import live
from tests.indexer.letters import BagOfLetters, BagOfPairs
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss, pytest.mark.http]
LOADING_S = 1.5


def load(name: str | None) -> Encoder:
    """The other encoder takes its time."""
    if name is None:
        return BagOfLetters()
    time.sleep(LOADING_S)
    return BagOfPairs()


async def change(url: str, home: Path, back: bool) -> str:
    """What `wordsight index build --beside` and `index flip`, or `index rollback`, do in another process."""
    catalog = Catalog.connect(url)
    new: Encoder = BagOfLetters() if back else BagOfPairs()
    if not back:
        await prepare(catalog, "c", "pairs", new, home)
    stands = await standing(catalog, "c")
    release = stands.previous if back else stands.candidate
    assert release is not None
    await switch(catalog, stands.collection.id, release, new)
    await catalog.close()
    return str(release.id)


async def fill(url: str, home: Path) -> str:
    catalog = Catalog.connect(url)
    world = World(catalog, home)
    await world.add("quick fox", "lazy dog", "red bus")
    await world.refresh()
    async with catalog.reading() as session:
        release = await releases.active(session, (await world.collection()).id)
    await catalog.close()
    assert release is not None
    return str(release.id)


def test_no_request_fails_or_waits(database_url: str, home: Path) -> None:
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    old = asyncio.run(fill(url, home))
    with live(database_url, home, "c", load=load) as server, server.client(server.key("c", "search")) as client:
        seen: list[tuple[str, float, int]] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                started = time.perf_counter()
                answer = client.post("/v1/collections/c/search", json={"query": "red bus", "k": 3})
                body = answer.json()
                found = len(body["results"]) if answer.status_code == httpx.codes.OK else -1
                seen.append((body.get("release", ""), time.perf_counter() - started, found))
                time.sleep(0.005)

        def wait_for(release: str) -> None:
            until = time.monotonic() + 60
            while seen[-1][0] != release and time.monotonic() < until:
                time.sleep(0.02)
            assert seen[-1][0] == release

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            while not seen:
                time.sleep(0.01)
            new = asyncio.run(change(url, home, back=False))
            wait_for(new)
            changed = len(seen)
            assert asyncio.run(change(url, home, back=True)) == old
            wait_for(old)
        finally:
            over.set()
            thread.join(20)
    assert {release for release, _, _ in seen} == {old, new}
    assert {found for _, _, found in seen} == {3}
    order = [release for i, (release, _, _) in enumerate(seen) if i == 0 or seen[i - 1][0] != release]
    assert order == [old, new, old]
    assert max(seconds for _, seconds, _ in seen[1:changed]) < LOADING_S
