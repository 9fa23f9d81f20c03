"""Every endpoint of the OpenAPI document refuses every key that may not use it, from the day it appears."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.access import CallerDependency
from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
PAGES = {"/", "/login", "/logout", "/images/{collection}/{image_id}", "/static"}
"""For people, with a session in place of a key; not part of the REST interface."""
DOCUMENTATION = {"/openapi.json", "/docs", "/redoc"}
OWN_LIST = {("GET", "/v1/collections"), ("GET", "/v1/keys"), ("GET", "/v1/jobs"), ("GET", "/v1/audit")}
"""These answer any good key with what is its own."""
_ONE, _IMAGE = "/v1/collections/{collection}", "/v1/collections/{collection}/images/{image_id}"
SEARCH = {
    ("GET", "/v1/collections"),
    ("GET", _ONE),
    ("GET", f"{_ONE}/images"),
    ("GET", _IMAGE),
    ("GET", f"{_IMAGE}/history"),
    ("POST", f"{_ONE}/search"),
    ("POST", f"{_ONE}/search/batch"),
    ("POST", f"{_ONE}/search/explain"),
    ("GET", f"{_ONE}/searches/{{search_id}}"),
    ("POST", f"{_ONE}/searches/{{search_id}}/feedback"),
    ("GET", "/v1/keys"),
}
"""All that a key that may search may do; `/v1/keys` tells it of none."""
INGEST = SEARCH | {
    ("PUT", _IMAGE),
    ("PATCH", _IMAGE),
    ("DELETE", _IMAGE),
    ("PUT", f"{_IMAGE}/description"),
    ("POST", f"{_IMAGE}/description/undo"),
    ("POST", f"{_ONE}/bulk"),
    ("POST", f"{_ONE}/uploads"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/{job_id}"),
    ("GET", "/v1/jobs/{job_id}/events"),
    ("POST", "/v1/jobs/{job_id}/cancel"),
}
"""All that a key that may ingest may do. What stands in neither list needs `admin`."""
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


Told = tuple[str, str, str, int, int]
"""Which key, method, path, the status that came and the one that should have."""


def refusals(server: Live) -> list[Told]:
    """Where a key that is missing, wrong, revoked or another collection's was not refused as it should be."""
    with server.client(server.key("*", "admin")) as admin:
        mine = admin.post("/v1/keys", json={"collection": "mine", "scope": "search"}).json()
        revoked = admin.post("/v1/keys", json={"collection": "mine", "scope": "admin"}).json()
        admin.delete(f"/v1/keys/{revoked['key_id']}")
        job = admin.post("/v1/jobs", json={"kind": "index", "collection": "mine"}).json()["job_id"]
    wrong: list[Told] = []
    for name, key, status in (
        ("missing", None, 401),
        ("wrong", "ws_" + "x" * 43, 401),
        ("revoked", revoked["key"], 401),
        ("of another collection", server.key("other", "admin"), 403),
    ):
        with server.client(key) as client:
            for method, path, _ in operations(server):
                came = send(client, method, path, mine["key_id"], job).status_code
                wanted = 200 if status == 403 and (method, path) in OWN_LIST else status
                wrong += [(name, method, path, came, wanted)] if came != wanted else []
    return wrong


def too_small(server: Live) -> list[Told]:
    """Where a key of the right collection may do more than its scope allows, or less."""
    with server.client(server.key("*", "admin")) as admin:
        mine = admin.post("/v1/keys", json={"collection": "mine", "scope": "search"}).json()["key_id"]
        job = admin.post("/v1/jobs", json={"kind": "index", "collection": "mine"}).json()["job_id"]
    wrong: list[Told] = []
    for scope, allowed in (("search", SEARCH), ("ingest", INGEST)):
        with server.client(server.key("mine", scope)) as client:  # type: ignore[arg-type]
            for method, path, _ in operations(server):
                came = send(client, method, path, mine, job).status_code
                if (method, path) not in allowed and came != 403:
                    wrong.append((scope, method, path, came, 403))
                elif (method, path) in allowed and came in {401, 403}:
                    wrong.append((scope, method, path, came, 200))
    return wrong


def test_every_endpoint_refuses_every_key_but_the_right_one(server: Live) -> None:
    assert len(operations(server)) >= 30
    assert refusals(server) == []


def test_every_endpoint_refuses_a_scope_that_is_too_small(server: Live) -> None:
    assert too_small(server) == []
    assert {(method, path) for method, path, _ in operations(server)} > INGEST
    with server.client(server.key("mine", "search")) as client:
        assert client.get("/v1/keys").json() == {"keys": []}


def paths(routes: Iterable[Any]) -> Iterator[str]:
    """The paths of routes, those of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from paths(inner.routes)
        else:
            yield route.path


def test_what_is_not_in_the_document_is_a_page_that_needs_a_session(server: Live) -> None:
    documented = set(server.app.openapi()["paths"])
    beside = set(paths(server.app.routes)) - documented
    assert beside - DOCUMENTATION <= PAGES
    with server.client() as client:
        for method, path in (
            ("GET", "/"),
            ("POST", "/"),
            ("POST", "/logout"),
            ("GET", f"/images/mine/{'0' * 64}"),
            ("GET", "/login"),
        ):
            assert client.request(method, path).status_code == 401, path


async def unprotected(collection: str) -> str:
    return collection


async def for_any_key(collection: str, _caller: CallerDependency) -> str:
    return collection


async def for_search(collection: str, caller: CallerDependency) -> str:
    caller.require("search", collection)
    return collection


def plant(server: Live, endpoint: Callable[..., object]) -> tuple[str, str]:
    """A new endpoint, there from now on."""
    path = "/v1/collections/{collection}/planted"
    server.app.add_api_route(path, endpoint, methods=["POST"])
    server.app.openapi_schema = None
    return "POST", path


def test_a_new_endpoint_without_protection_is_found(server: Live) -> None:
    planted = plant(server, unprotected)
    assert {one[:3] for one in refusals(server)} == {
        (key, *planted) for key in ("missing", "wrong", "revoked", "of another collection")
    }


def test_a_new_endpoint_that_takes_any_key_is_found(server: Live) -> None:
    planted = plant(server, for_any_key)
    assert {one[:3] for one in refusals(server)} == {("of another collection", *planted)}


def test_a_new_endpoint_that_asks_too_little_is_found(server: Live) -> None:
    planted = plant(server, for_search)
    assert refusals(server) == []
    assert {one[:3] for one in too_small(server)} == {("search", *planted), ("ingest", *planted)}
