"""Every endpoint of the OpenAPI document refuses every key that may not use it, from the day it appears."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
OWN_LIST = {("GET", "/v1/collections"), ("GET", "/v1/keys"), ("GET", "/v1/jobs"), ("GET", "/v1/audit")}
"""These answer any good key with what is its own."""
VALUES = {"collection": "mine", "image_id": "0" * 64, "search_id": "00000000-0000-0000-0000-000000000000"}


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "mine", "other") as running:
        yield running


def operations(server: Live) -> list[tuple[str, str, dict[str, object]]]:
    document = server.app.openapi()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if (method.upper(), path) not in OPEN
    ]


def send(client: httpx.Client, method: str, path: str, key_id: str, job_id: str) -> httpx.Response:
    address = path.format(**VALUES, key_id=key_id, job_id=job_id)
    bodies: dict[str, dict[str, object]] = {
        "/v1/collections": {"name": "mine"},
        "/v1/jobs": {"kind": "index", "collection": "mine"},
        "/v1/keys": {"collection": "mine", "scope": "search"},
        "/search": {"query": "a cat"},
        "/search/batch": {"queries": [{"query": "a cat"}]},
        "/search/explain": {"query": "a cat", "image_id": "0" * 64},
        "/feedback": {"image_id": "0" * 64, "verdict": "relevant"},
        "/description": {"summary": "a cat"},
        "/{image_id}": {"description": {"summary": "a cat"}} if method == "PUT" else {"metadata": {}},
    }
    body = next((body for ending, body in bodies.items() if path.endswith(ending)), {})
    return client.request(method, address, json=None if method in {"GET", "DELETE"} else body)


def test_every_endpoint_refuses_every_key_but_the_right_one(server: Live) -> None:
    found = operations(server)
    assert len(found) >= 20
    with server.client(server.key("*", "admin")) as admin:
        mine = admin.post("/v1/keys", json={"collection": "mine", "scope": "search"}).json()
        revoked = admin.post("/v1/keys", json={"collection": "mine", "scope": "admin"}).json()
        admin.delete(f"/v1/keys/{revoked['key_id']}")
        job = admin.post("/v1/jobs", json={"kind": "index", "collection": "mine"}).json()["job_id"]
    foreign = server.key("other", "admin")
    wrong: list[tuple[str, str, str, int, int]] = []
    for name, key, status in (
        ("missing", None, 401),
        ("wrong", "ws_" + "x" * 43, 401),
        ("revoked", revoked["key"], 401),
        ("of another collection", foreign, 403),
    ):
        with server.client(key) as client:
            for method, path, _ in found:
                answered = send(client, method, path, mine["key_id"], job)
                allowed = name == "of another collection" and (method, path) in OWN_LIST
                if answered.status_code != (200 if allowed else status):
                    wrong.append((name, method, path, answered.status_code, status))
    assert wrong == []


def test_a_key_that_may_search_may_not_write(server: Live) -> None:
    reads = {"/search", "/search/batch", "/search/explain", "/feedback"}
    with server.client(server.key("mine", "admin")) as admin:
        job = admin.post("/v1/jobs", json={"kind": "index", "collection": "mine"}).json()["job_id"]
    with server.client(server.key("mine", "search")) as client:
        statuses = {
            (method, path): send(client, method, path, "key_" + "0" * 16, job).status_code
            for method, path, _ in operations(server)
            if method != "GET" and not path.endswith(tuple(reads)) and "{key_id}" not in path
        }
    assert len(statuses) >= 10
    assert {one for one, status in statuses.items() if status != 403} == set()
