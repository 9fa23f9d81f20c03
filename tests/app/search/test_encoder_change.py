"""A running server changes a collection's encoder without a request that fails or waits for it."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest

from indexer.encoding.encoder import Encoder
from indexer.releases.encoder_change import prepare, standing, switch
from scenes.catalog import releases
from scenes.catalog.connection import Catalog
from tests.app.live import live
from tests.indexer.letters import BagOfLetters, BagOfPairs
from tests.indexer.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.faiss, pytest.mark.http]
ENOUGH = 10


class Loading:
    """Loads encoders; the other one only once more searches were answered while it was being loaded."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        """Of each answer its release and how many images it held, −1 where it failed."""
        self.waited_in_vain = False

    def __call__(self, name: str | None) -> Encoder:
        if name is None:
            return BagOfLetters()
        self.waited_in_vain |= not self.more(ENOUGH)
        return BagOfPairs()

    def more(self, answers: int) -> bool:
        """Are so many more answered within a minute?"""
        wanted, until = len(self.seen) + answers, time.monotonic() + 60
        while len(self.seen) < wanted and time.monotonic() < until:
            time.sleep(0.01)
        return len(self.seen) >= wanted


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
    load = Loading()
    with live(database_url, home, "c", load=load) as server, server.client(server.key("c", "search")) as client:
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                answer = client.post("/v1/collections/c/search", json={"query": "red bus", "k": 3})
                body = answer.json()
                found = len(body["results"]) if answer.status_code == httpx.codes.OK else -1
                load.seen.append((body.get("release", ""), found))
                time.sleep(0.005)

        def wait_for(release: str) -> None:
            until = time.monotonic() + 60
            while load.seen[-1][0] != release and time.monotonic() < until:
                time.sleep(0.02)
            assert load.seen[-1][0] == release

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            assert load.more(1)
            new = asyncio.run(change(url, home, back=False))
            wait_for(new)
            assert asyncio.run(change(url, home, back=True)) == old
            wait_for(old)
        finally:
            over.set()
            thread.join(20)
    assert not load.waited_in_vain
    assert {found for _, found in load.seen} == {3}
    releases_seen = [release for release, _ in load.seen]
    order = [one for one, before in zip(releases_seen, ["", *releases_seen], strict=False) if one != before]
    assert order == [old, new, old]
