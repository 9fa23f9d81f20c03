"""A write under an Idempotency-Key is done once: its answer is committed with it, whatever is killed in between."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.bodies import whole
from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
ONCE = {"Idempotency-Key": "one"}
PETS = "/v1/collections/pets"


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets") as running:
        yield running


@contextmanager
def held(server: Live) -> Iterator["psycopg.Connection[Any]"]:
    """The collection's row is locked: writes to it wait."""
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1 FROM collections FOR UPDATE")
        yield connection
        connection.rollback()


def patch(server: Live, key: str) -> httpx.Response:
    with server.client(key) as client:
        return client.patch(PETS, json={"search_log": "off"}, headers=ONCE)


def waiters(connection: "psycopg.Connection[Any]", what: str) -> int:
    row = connection.execute(
        f"SELECT {what} FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return int(row[0]) if row else 0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(server: Live) -> int:
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM audit WHERE action = 'collection.change'").fetchone()
    return row[0] if row else 0


def test_one_that_runs_is_not_begun_again_and_its_answer_is_given_again(server: Live) -> None:
    key = server.key("*", "admin")
    with ThreadPoolExecutor(1) as other, held(server) as connection:
        first = other.submit(patch, server, key)
        until(lambda: waiters(connection, "count(*)") == 1)
        second = patch(server, key)
        assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_progress")
        assert second.headers["retry-after"] == "1"
        connection.rollback()
        assert first.result().status_code == 200
    again = patch(server, key)
    assert (again.status_code, again.headers["idempotent-replay"]) == (200, "true")
    assert again.json() == first.result().json()
    assert lines(server) == 1


def test_one_whose_connection_broke_may_be_sent_again_at_once(server: Live) -> None:
    key = server.key("*", "admin")
    with ThreadPoolExecutor(1) as other, held(server) as connection:
        first = other.submit(patch, server, key)
        until(lambda: waiters(connection, "count(*)") == 1)
        waiters(connection, "count(pg_terminate_backend(pid))")
        broken = first.result()
        assert (broken.status_code, broken.json()["code"]) == (503, "postgres_unreachable")
        assert int(broken.headers["retry-after"]) >= 1
    done = patch(server, key)
    assert (done.status_code, "idempotent-replay" in done.headers) == (200, False)
    assert lines(server) == 1


def test_a_write_that_is_refused_leaves_nothing(server: Live) -> None:
    with server.client(server.key("*", "admin")) as client:
        refused = client.patch("/v1/collections/nothing", json={"search_log": "off"}, headers=ONCE)
        assert refused.status_code == 404
        assert client.patch(PETS, json={"search_log": "off"}, headers=ONCE).status_code == 200
    assert lines(server) == 1


def test_half_a_body_is_not_taken_for_a_whole_one(server: Live) -> None:
    key, whole_body = server.key("*", "admin"), b'{"search_log": "off"}'
    head = f"PATCH {PETS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: one\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(whole_body) + 100}\r\n\r\n"
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sent:
        sent.sendall(head.encode() + whole_body)
        time.sleep(0.3)
    done = patch(server, key)
    assert (done.status_code, "idempotent-replay" in done.headers) == (200, False)
    assert lines(server) == 1


async def test_a_client_that_goes_away_has_sent_no_body() -> None:
    parts = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(parts)

    assert await whole(receive) is None
