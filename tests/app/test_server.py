"""The real server over real HTTP: the contract's shape, keys, problems, stored searches."""

import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.app.conftest import Command
from tests.app.serving import Served, served

pytestmark = [pytest.mark.cli, pytest.mark.postgres, pytest.mark.encoder]

KEYS = {"results", "matches", "exists", "reranked", "query_truncated", "release", "search_id", "next_cursor", "pending"}
RESULT_KEYS = {
    "image_id",
    "external_id",
    "uri",
    "score",
    "probability",
    "description",
    "metadata",
    "source",
    "evidence",
}


def test_search_over_http(animals: Command) -> None:
    animals.json("collection", "create", "other")
    key = animals.json("key", "create", "--collection", "animals", "--scope", "search")
    foreign = animals.json("key", "create", "--collection", "other", "--scope", "search")["key"]
    with served(animals.environment) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        path = "/v1/collections/animals/search"

        def post(body: object, bearer: str | None = key["key"], to: str = path) -> httpx.Response:
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            return client.post(to, json=body, headers=headers)

        answer = post({"query": "a cat on a couch", "k": 2})
        body = answer.json()
        assert answer.status_code == 200
        assert set(body) == KEYS
        assert set(body["results"][0]) >= RESULT_KEYS
        assert body["results"][0]["external_id"] == "1"
        assert body["results"][0]["source"] == "import"
        assert body["matches"] == "some"
        far_off = post({"query": "the wiring diagram of a nuclear reactor", "k": 1}).json()
        assert (far_off["matches"], len(far_off["results"])) == ("none", 1)

        with psycopg.connect(animals.database_url) as connection:
            row = connection.execute("SELECT query_text, results FROM searches WHERE id = %s", [body["search_id"]])
            text, results = row.fetchone() or (None, None)
        assert text is None
        assert results[0]["image_id"] == body["results"][0]["image_id"]
        stored = client.get(
            f"/v1/collections/animals/searches/{body['search_id']}", headers={"Authorization": f"Bearer {key['key']}"}
        )
        assert len(stored.json()["results"]) == 2

        for response, status, code in (
            (post({"query": "x"}, bearer=None), 401, "key_missing"),
            (post({"query": "x"}, bearer="ws_wrong"), 401, "key_unknown"),
            (post({"query": "x"}, bearer=foreign), 403, "key_not_allowed"),
            (post({"query": ""}), 422, "request_invalid"),
            (post({"query": "x" * 100_000}), 413, "request_too_large"),
            (post({"query": "x" * 20_000}), 422, "request_invalid"),
            (post({"query": "x", "k": 0}), 422, "request_invalid"),
            (post({"query": "x", "k": 10**9}), 422, "request_invalid"),
            (post({"query": "x", "filter": {"metadata.year": {"near": 2020}}}), 400, "filter_invalid"),
            (post({"query": "x", "fields": ["colours"]}), 400, "field_unknown"),
            (post({"query": "x", "fields": []}), 422, "request_invalid"),
            (client.get("/v1/nothing"), 404, "not_found"),
            (client.put("/v1/collections"), 405, "method_not_allowed"),
        ):
            assert (response.status_code, response.json()["code"]) == (status, code)
            assert response.headers["content-type"] == "application/problem+json"
        everywhere = animals.json("key", "create", "--collection", "*", "--scope", "search")["key"]
        unknown = post({"query": "x"}, bearer=everywhere, to="/v1/collections/nope/search")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "collection_unknown")

        seen = client.get("/v1/keys/", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"})
        assert seen.headers["location"] == f"{server.url}/v1/keys"  # no proxy is believed unless it is named
        assert client.get("/healthz").json() == {"status": "ok"}
        document = client.get("/openapi.json").json()
        assert path.replace("animals", "{collection}") in document["paths"]
        assert "Problem" in document["components"]["schemas"]

        animals.json("key", "revoke", key["key_id"])
        import time

        time.sleep(1.1)
        assert post({"query": "x"}).status_code == 401


def test_a_taken_port_and_a_missing_postgres_are_told(command: Command) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command.run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "can't listen" in done.stderr
    away = Command(command.home, "postgresql://nobody@127.0.0.1:1/nothing")
    done = away.run("collection", "list", "--json")
    assert done.returncode == 3
    assert "postgres_unreachable" in done.stdout


def test_connections_that_are_kept_are_spread_over_the_processes(animals: Command) -> None:
    with served(animals.environment, "--workers", "2") as server:
        until = time.monotonic() + 60
        while "wordsight_processes_ready 2.0" not in httpx.get(f"{server.url}/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.2)
        while (spread := _spread(server)) != [8, 8]:  # the last one is about to listen
            assert time.monotonic() < until, spread
            time.sleep(0.2)


def _spread(server: Served) -> list[int]:
    """Of 16 connections that are kept, how many each process of the server has."""
    port = httpx.URL(server.url).port
    with ExitStack() as stack:
        for _ in range(16):
            kept = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert kept.recv(12) == b"HTTP/1.1 200"
        counts = [_connections(child, port) for child in _children(server.pid)]
    return [count for count in counts if count]


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _connections(process: int, port: int | None) -> int:
    """How many established connections to this port a process has."""
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    held = set()
    for one in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed a moment ago
            held.add(str(one.readlink()))
    return len(held & sockets)
