"""The audit log: every write endpoint of the OpenAPI document leaves one line, reads and refusals leave none."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scenes.catalog.connection import Catalog
from tests.app.live import SOURCES, Live, heartbeat, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
CAT = hashlib.sha256(b"cat").hexdigest()
READS_BY_POST = ("/search", "/search/batch", "/search/explain")


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets", "other") as running:
        yield running


def writes(server: Live) -> set[tuple[str, str]]:
    """All endpoints that change something."""
    return {
        (method.upper(), path)
        for path, methods in server.app.openapi()["paths"].items()
        for method in methods
        if method != "get" and not path.endswith(READS_BY_POST)
    }


class Pen:
    """Writes, and looks at what the log says of it."""

    def __init__(self, server: Live, client: httpx.Client) -> None:
        self.client, self.done = client, set[tuple[str, str]]()
        self.templates = writes(server)

    def log(self, **params: Any) -> list[dict[str, Any]]:
        return list(
            self.client.get("/v1/audit", params={"limit": 1_000, **params}).raise_for_status().json()["entries"]
        )

    def write(self, method: str, template: str, expected: str | None, **given: Any) -> httpx.Response:
        names = given.pop("names", {})
        before = len(self.log())
        answer = self.client.request(method, template.format(collection="pets", image_id=CAT, **names), **given)
        new = [one["action"] for one in self.log()[before:]]
        assert answer.is_success == (expected is not None), answer.text
        assert new == ([expected] if expected else []), (method, template)
        if expected:
            self.done.add((method, template))
        return answer


def test_every_write_leaves_one_line_in_the_order_of_commits(server: Live) -> None:
    with server.client(server.key("*", "admin")) as client:
        pen = Pen(server, client)
        one, images = "/v1/collections/{collection}", "/v1/collections/{collection}/images/{image_id}"
        pen.write("POST", "/v1/collections", "collection.create", json={"name": "made"})
        pen.write("POST", "/v1/collections", None, json={"name": "made"})
        pen.write("PATCH", one, "collection.change", json={"engine": "openai"})
        pen.write("POST", f"{one}/bulk", "image.bulk", content=b'{"id": "1", "text": "a dog"}\n')
        put = pen.write("PUT", images, "image.put", json={"description": {"summary": "A cat."}})
        pen.write("PATCH", images, "image.metadata", json={"metadata": {"year": 2020}})
        tag = {"If-Match": put.headers["ETag"]}
        edited = pen.write("PUT", f"{images}/description", "image.edit", json={"summary": "Two."}, headers=tag)
        pen.write("PUT", f"{images}/description", None, json={"summary": "Three."}, headers=tag)
        tag = {"If-Match": edited.headers["ETag"]}
        pen.write("POST", f"{images}/description/undo", "image.undo", headers=tag)
        search = client.post("/v1/collections/pets/search", json={"query": "cat"}).json()["search_id"]
        verdict = {"image_id": CAT, "verdict": "relevant"}
        path = f"{one}/searches/{{search_id}}/feedback"
        pen.write("POST", path, "search.feedback", json=verdict, names={"search_id": search})
        key = pen.write("POST", "/v1/keys", "key.create", json={"collection": "pets", "scope": "search"}).json()
        named = {"names": {"key_id": key["key_id"]}}
        before = len(pen.log())
        client.post(f"/v1/keys/{key['key_id']}/rotate").raise_for_status()
        assert [one["action"] for one in pen.log()[before:]] == ["key.create", "key.expire"]
        pen.done.add(("POST", "/v1/keys/{key_id}/rotate"))
        pen.write("DELETE", "/v1/keys/{key_id}", "key.revoke", **named)
        order = {"kind": "ingest", "collection": "pets", "source": f"{SOURCES}/photos"}
        job = pen.write("POST", "/v1/jobs", "job.ingest", json=order).json()["job_id"]
        pen.write("POST", "/v1/jobs", None, json=order | {"source": "/elsewhere"})
        pen.write("POST", "/v1/jobs/{job_id}/cancel", "job.cancel", names={"job_id": job})
        asyncio.run(heartbeat(server.database_url))
        pen.write("POST", f"{one}/uploads", "job.upload", content=b"an image")
        pen.write("DELETE", images, "image.delete")
        pen.write("DELETE", one, "collection.delete")
        assert pen.done == pen.templates
        entries = pen.log()
        assert [one["id"] for one in entries] == sorted(one["id"] for one in entries)
        assert {one["key_id"] for one in entries} == {entries[0]["key_id"]}
        paged, after = [], 0
        while True:
            page = client.get("/v1/audit", params={"limit": 4, "after": after}).json()
            paged += page["entries"]
            if page["next"] is None:
                break
            after = page["next"]
        assert paged == entries
        assert {one["collection"] for one in pen.log(collection="pets")} == {"pets"}
        assert pen.log(key_id="key_nobody") == []


def test_an_admin_of_one_collection_sees_its_writes_alone(server: Live) -> None:
    with server.client(server.key("*", "admin")) as client:
        for name in ("pets", "other"):
            client.patch(f"/v1/collections/{name}", json={"search_log": "off"}).raise_for_status()
    with server.client(server.key("pets", "admin")) as client:
        assert [one["collection"] for one in client.get("/v1/audit").json()["entries"]] == ["pets"]
        assert client.get("/v1/audit", params={"collection": "other"}).status_code == 403
    with server.client(server.key("pets", "ingest")) as client:
        assert client.get("/v1/audit").status_code == 403


async def test_entries_are_numbered_in_the_order_of_their_commits(catalog: Catalog) -> None:
    from scenes.catalog import audit

    async def write(n: int) -> None:
        async with catalog.writing() as session:
            await asyncio.sleep(0.02 * (n % 3))
            await audit.add(session, "key_1", "image.put", None, str(n))

    seen: list[int] = []

    async def read() -> None:
        while len(seen) < 30:
            async with catalog.reading() as session:
                page = await audit.page(session, None, after=seen[-1] if seen else 0)
            seen.extend(one.id for one in page)
            await asyncio.sleep(0.001)

    async with asyncio.timeout(60):
        await asyncio.gather(read(), *(write(n) for n in range(30)))
    assert len(set(seen)) == 30
