"""What one key may take of a process: the others always have some left."""

import asyncio
import hashlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from app.http.limits import MOST_KEYS, KeyLimits, Shares, Turns
from scenes.errors import Overloaded
from tests.app.live import Live, heartbeat, live

SHARE = 16


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets", "others") as running:
        yield running


def test_a_share_is_bounded_and_comes_back() -> None:
    shares = Shares("things", 2, 3, "wait")
    with ExitStack() as mine:
        mine.enter_context(shares.used_by("a"))
        mine.enter_context(shares.used_by("a"))
        with pytest.raises(Overloaded) as of_key, shares.used_by("a"):
            pass
        mine.enter_context(shares.used_by("b"))
        with pytest.raises(Overloaded) as of_all, shares.used_by("b"):
            pass
    assert (of_key.value.code, of_all.value.code) == ("too_many_things_of_key", "too_many_things")
    with shares.used_by("a"), shares.used_by("a"), shares.used_by("c"):
        pass


async def test_turns_wait_for_those_of_the_same_key_alone() -> None:
    turns, running, most = Turns(2), 0, 0

    async def work() -> None:
        nonlocal running, most
        async with turns.of("a"):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(work())
        await asyncio.sleep(0.005)
        async with asyncio.timeout(0.005), turns.of("b"):
            pass
    assert most == 2
    async with turns.of("a"), turns.of("a"):
        pass


def test_what_a_key_is_charged_it_waits_for() -> None:
    now = 0.0
    limits = KeyLimits(10, clock=lambda: now)
    limits.take("a")
    limits.charge("a", 63)
    with pytest.raises(Overloaded) as told:
        limits.take("a")
    assert told.value.retry_after_s == pytest.approx(4.5)
    now = 4.5
    limits.take("a")


def test_many_other_keys_do_not_give_a_key_its_tokens_back() -> None:
    now = 0.0
    limits = KeyLimits(1, clock=lambda: now)
    limits.charge("a", 100)
    for number in range(2 * MOST_KEYS):
        limits.take(str(number))
    now = 50.0
    with pytest.raises(Overloaded) as refused:
        limits.take("a")
    assert refused.value.retry_after_s == pytest.approx(49)


@pytest.mark.postgres
@pytest.mark.http
def test_one_key_does_not_take_all_event_streams(server: Live) -> None:
    greedy, other = server.key("pets", "ingest"), server.key("pets", "ingest")
    with server.client(greedy) as client, server.client(other) as neighbour, ExitStack() as streams:
        job = client.post("/v1/jobs", json={"kind": "index", "collection": "pets"}).json()["job_id"]
        path = f"/v1/jobs/{job}/events"
        for _ in range(SHARE):
            assert streams.enter_context(client.stream("GET", path)).status_code == 200
        refused = client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams_of_key")
        assert refused.headers["retry-after"] == "5"
        assert client.get(path, params={"follow": False}).status_code == 200
        assert streams.enter_context(neighbour.stream("GET", path)).status_code == 200
        streams.close()
        until = time.monotonic() + 5
        while (status := _status(client, path)) == 429 and time.monotonic() < until:
            time.sleep(0.1)
        assert status == 200


def _status(client: httpx.Client, path: str) -> int:
    with client.stream("GET", path) as answer:
        return answer.status_code


@pytest.mark.postgres
@pytest.mark.http
def test_one_key_does_not_take_all_uploads(server: Live) -> None:
    asyncio.run(heartbeat(server.database_url))
    greedy, other = server.key("pets", "admin"), server.key("pets", "ingest")
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /v1/collections/pets/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {greedy}\r\n"
    with server.client(greedy) as client, server.client(other) as neighbour, ExitStack() as open_ones:
        client.patch("/v1/collections/pets", json={"engine": "basic"}).raise_for_status()
        slow = [open_ones.enter_context(socket.create_connection((host, int(port)))) for _ in range(SHARE + 4)]
        for one in slow:
            one.sendall(f"{head}Content-Length: 9\r\n\r\nhalf".encode())
        until = time.monotonic() + 20
        while len(select.select(slow, [], [], 0.1)[0]) < 4:  # these are refused: the others are all begun
            assert time.monotonic() < until
        refused = client.post("/v1/collections/pets/uploads", content=b"x")
        assert refused.json()["code"] == "too_many_uploads_of_key"
        assert neighbour.post("/v1/collections/pets/uploads", content=b"y").status_code == 202


@contextmanager
def held_up(server: Live, collection: str) -> Iterator[None]:
    """Every write to a collection waits until the block ends."""
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1 FROM collections WHERE name = %s FOR UPDATE", [collection])
        yield


@pytest.mark.postgres
@pytest.mark.http
@pytest.mark.parametrize("keyed", [False, True])
def test_writes_of_one_key_do_not_hold_up_those_of_others(server: Live, keyed: bool) -> None:
    greedy, other = server.key("pets", "ingest"), server.key("others", "ingest")
    answers: list[int] = []

    def put(key: str, collection: str, number: int) -> None:
        image, headers = hashlib.sha256(str(number).encode()).hexdigest(), {"Idempotency-Key": str(number)}
        with server.client(key) as client:
            body = {"description": {"summary": "a cat"}}
            path = f"/v1/collections/{collection}/images/{image}"
            answers.append(client.put(path, json=body, headers=headers if keyed else {}).status_code)

    threads = [threading.Thread(target=put, args=(greedy, "pets", number)) for number in range(12)]
    with held_up(server, "pets"):
        for thread in threads:
            thread.start()
        time.sleep(1)
        put(other, "others", 0)
        assert answers == [200]
    for thread in threads:
        thread.join(30)
    assert answers == [200] * 13


@pytest.mark.postgres
@pytest.mark.http
def test_each_search_of_a_batch_counts(database_url: str, home: Path) -> None:
    with live(database_url, home, "pets", per_key=1) as server, server.client(server.key("pets", "search")) as client:
        batch = {"queries": [{"query": "a cat"}] * 15}
        first, second = (client.post("/v1/collections/pets/search/batch", json=batch) for _ in range(2))
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 429, "rate_limited")
