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

from app.http.middleware.bodies import whole
from app.http.middleware.idempotency import NEVER_KEPT
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


def lines(server: Live, action: str = "collection.change") -> int:
    """How many lines of the audit log tell of an action."""
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM audit WHERE action LIKE %s", [action]).fetchone()
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


IMAGE = f"{PETS}/images/{'1' * 64}"
SECRET = "a woman with a red umbrella"


def stored(server: Live) -> str:
    """All that the table of answers holds."""
    with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT row_to_json(idempotency)::text FROM idempotency").fetchall()
    assert rows
    return "".join(text for (text,) in rows)


def put(client: httpx.Client) -> httpx.Response:
    return client.put(IMAGE, json={"description": {"summary": SECRET}}, headers=ONCE)


def test_a_key_that_was_revoked_gets_nothing_again(server: Live) -> None:
    with server.client(server.key("*", "admin")) as admin:
        made = admin.post("/v1/keys", json={"collection": "pets", "scope": "ingest"}).json()
        with server.client(made["key"]) as writer:
            assert put(writer).status_code == 200
            assert put(writer).headers["idempotent-replay"] == "true"
            assert admin.delete(f"/v1/keys/{made['key_id']}").status_code == 204
            time.sleep(1.1)
            refused = put(writer)
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")
    assert SECRET not in refused.text


def test_a_repeated_write_counts_to_the_rate_of_its_key(database_url: str, home: Path) -> None:
    with live(database_url, home, "pets", per_key=2) as server, server.client(server.key("pets", "ingest")) as writer:
        codes = [put(writer).status_code for _ in range(8)]
    assert codes[0] == 200
    assert 429 in codes[1:]


@pytest.mark.parametrize("erase", ["image", "collection"])
def test_what_was_erased_is_neither_told_again_nor_kept(server: Live, erase: str) -> None:
    with server.client(server.key("*", "admin")) as client:
        first = put(client)
        assert (first.status_code, SECRET in first.text) == (200, True)
        edited = client.put(
            f"{IMAGE}/description",
            json={"summary": f"{SECRET} in the rain"},
            headers={"Idempotency-Key": "edit", "If-Match": first.headers["etag"]},
        )
        assert edited.status_code == 200
        assert SECRET not in stored(server)
        assert client.delete(IMAGE if erase == "image" else PETS).status_code == 204
        again = put(client)
    assert (again.status_code, again.json()["code"]) == (410, "idempotency_result_deleted")
    assert SECRET not in again.text


def test_a_write_that_was_replaced_shows_what_is_there_now(server: Live) -> None:
    with server.client(server.key("pets", "ingest")) as client:
        first = put(client)
        body, tag = {"summary": "nobody is here"}, {"If-Match": first.headers["etag"]}
        edited = client.put(f"{IMAGE}/description", json=body, headers=tag)
        again = put(client)
        assert (again.status_code, again.headers["idempotent-replay"]) == (200, "true")
        assert again.json() == edited.json()
        assert again.headers["etag"] == edited.headers["etag"]
        assert client.get(f"{IMAGE}/history").json()["versions"][0]["current"]


ONE = "/v1/collections/{collection}"
Write = tuple[str, str, dict[str, str], Any, dict[str, str]]
"""Method, template of the path, what is put into it, body, headers."""


def writes(client: httpx.Client) -> Iterator[Write]:
    """A request for each kind of write whose answer is kept, each possible once the ones before were done."""
    new, pets = {"collection": "new"}, {"collection": "pets"}
    image = pets | {"image_id": "1" * 64}
    yield "POST", "/v1/collections", {}, {"name": "new"}, {}
    yield "PATCH", ONE, new, {"search_log": "off"}, {}
    yield "DELETE", ONE, new, None, {}
    yield "PUT", f"{ONE}/images/{{image_id}}", image, {"description": {"summary": "a dog"}}, {}
    yield "PATCH", f"{ONE}/images/{{image_id}}", image, {"metadata": {"year": 2020}}, {}
    tag = {"If-Match": client.get(IMAGE).headers["etag"]}
    yield "PUT", f"{ONE}/images/{{image_id}}/description", image, {"summary": "a cat"}, tag
    tag = {"If-Match": client.get(IMAGE).headers["etag"]}
    yield "POST", f"{ONE}/images/{{image_id}}/description/undo", image, None, tag
    search = pets | {"search_id": client.post(f"{PETS}/search", json={"query": "a dog"}).json()["search_id"]}
    said = {"image_id": "1" * 64, "verdict": "relevant"}
    yield "POST", f"{ONE}/searches/{{search_id}}/feedback", search, said, {}
    yield "DELETE", f"{ONE}/images/{{image_id}}", image, None, {}
    yield "POST", "/v1/jobs", {}, {"kind": "index", "collection": "pets"}, {}
    yield "POST", "/v1/jobs/{job_id}/cancel", {"job_id": client.get("/v1/jobs").json()["jobs"][0]["job_id"]}, None, {}
    key = client.post("/v1/keys", json={"collection": "pets", "scope": "search"}).json()
    yield "DELETE", "/v1/keys/{key_id}", {"key_id": key["key_id"]}, None, {}


def send(client: httpx.Client, number: int, write: Write) -> httpx.Response:
    method, template, values, body, headers = write
    headers = {"Idempotency-Key": str(number), **headers}
    return client.request(method, template.format(**values), json=body, headers=headers)


def test_every_kind_of_write_is_done_once_and_checked_when_it_is_sent_again(server: Live) -> None:
    done = list[Write]()
    with server.client(server.key("*", "admin")) as client:
        for number, write in enumerate(writes(client)):
            first, before = send(client, number, write), lines(server, "%")
            again = send(client, number, write)
            assert first.is_success, first.text
            assert (again.status_code, again.headers["idempotent-replay"]) == (first.status_code, "true"), again.text
            assert (again.content, lines(server, "%")) == (first.content, before), write
            done.append(write)
        with psycopg.connect(server.database_url.replace("+psycopg", "")) as connection:
            connection.execute("UPDATE api_keys SET scope = 'search', collection = 'other'")
        time.sleep(1.1)
        for number, write in enumerate(done):
            assert send(client, number, write).status_code == 403, write
    documented = {(method.upper(), path) for path, one in server.app.openapi()["paths"].items() for method in one}
    kept = {one for one in documented if one[0] != "GET" and not one[1].endswith(NEVER_KEPT)}
    assert kept == {write[:2] for write in done}
