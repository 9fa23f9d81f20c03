"""Every noun over REST, against real Postgres and real HTTP."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from indexer.releases.refresh import refresh
from scenes.catalog.connection import Catalog
from tests.app.live import Live, live
from tests.indexer.letters import BagOfLetters

pytestmark = [pytest.mark.postgres, pytest.mark.http]
CAT = hashlib.sha256(b"cat").hexdigest()
IMAGES = "/v1/collections/pets/images"
BULK = "/v1/collections/pets/bulk"
SEARCH = "/v1/collections/pets/search"


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets") as running:
        yield running


@pytest.fixture
def client(server: Live) -> Iterator[httpx.Client]:
    with server.client(server.key("*", "admin")) as client:
        yield client


def put_cat(client: httpx.Client, summary: str = "A cat on a mat.") -> httpx.Response:
    return client.put(f"{IMAGES}/{CAT}", json={"description": {"summary": summary}, "metadata": {"year": 2020}})


async def _embed(server: Live, home: Path) -> None:
    catalog = Catalog.connect(server.database_url)
    await refresh(catalog, "pets", BagOfLetters(), home)
    await catalog.close()


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_collections_are_made_changed_and_deleted(client: httpx.Client) -> None:
    made = client.post("/v1/collections", json={"name": "new"})
    assert (made.status_code, made.json()["images"]) == (201, 0)
    assert code(client.post("/v1/collections", json={"name": "new"})) == (409, "collection_exists")
    changed = client.patch("/v1/collections/new", json={"search_log": "off"}).json()
    assert changed["settings"]["search_log"] == "off"
    assert client.get("/v1/collections/new").json() == changed
    assert [one["settings"]["name"] for one in client.get("/v1/collections").json()["collections"]] == ["new", "pets"]
    assert client.delete("/v1/collections/new").status_code == 204
    assert code(client.get("/v1/collections/new")) == (404, "collection_unknown")


def test_an_image_is_put_edited_undone_and_removed(client: httpx.Client) -> None:
    first = put_cat(client)
    assert put_cat(client).json() == first.json()
    tag, address = first.headers["etag"], f"{IMAGES}/{CAT}"
    edit = {"summary": "A person says: two cats."}
    assert code(client.put(f"{address}/description", json=edit)) == (400, "if_match_missing")
    assert code(client.put(f"{address}/description", json=edit, headers={"If-Match": "x"})) == (400, "if_match_invalid")
    edited = client.put(f"{address}/description", json=edit, headers={"If-Match": tag})
    assert (edited.json()["source"], edited.json()["description"]["summary"]) == ("person", edit["summary"])
    assert code(client.put(f"{address}/description", json=edit, headers={"If-Match": tag})) == (
        412,
        "description_changed",
    )
    assert put_cat(client, "A machine's later word.").json()["source"] == "person"
    versions = client.get(f"{address}/history").json()["versions"]
    assert [one["current"] for one in versions] == [False, True, False]
    undone = client.post(f"{address}/description/undo", headers={"If-Match": edited.headers["etag"]})
    assert undone.json()["description"]["summary"] == "A cat on a mat."
    again = client.post(f"{address}/description/undo", headers={"If-Match": undone.headers["etag"]})
    assert code(again) == (404, "description_first")
    patched = client.patch(address, json={"metadata": {"year": None, "place": "home"}}).json()
    assert client.get(address).json()["metadata"] == patched["metadata"] == {"place": "home"}
    assert client.delete(address).status_code == 204
    assert code(client.delete(address)) == (404, "image_unknown")


def test_many_lines_in_one_request(client: httpx.Client) -> None:
    good = [json.dumps({"id": str(i), "text": f"picture number {i}"}) for i in range(1_200)]
    body = "\n".join([*good[:600], '{"id": "x"}', "", "not json", *good[600:]])
    done = client.post(BULK, content=body).json()
    assert (done["stored"], done["rejected"], len(done["lines"])) == (1_200, 2, 1_202)
    assert [one["line"] for one in done["lines"] if one["status"] == "rejected"] == [601, 603]
    assert client.post(BULK, content=body).json() == done
    seen, after = set(), 0
    while after is not None:
        page = client.get(IMAGES, params={"after": after, "limit": 500}).json()
        seen |= {one["external_id"] for one in page["images"]}
        after = page["next"]
    assert seen == {str(i) for i in range(1_200)}
    too_many = "\n".join('{"id": "1", "text": "a"}' for _ in range(10_001))
    assert code(client.post(BULK, content=too_many)) == (400, "too_many_lines")


def test_searching_explaining_and_saying_what_fits(client: httpx.Client, server: Live, home: Path) -> None:
    put_cat(client)
    other = hashlib.sha256(b"bus").hexdigest()
    client.put(f"{IMAGES}/{other}", json={"description": {"summary": "zzz qqq"}})
    asyncio.run(_embed(server, home))
    answer = client.post(SEARCH, json={"query": "a cat on a mat"}).json()
    assert [one["image_id"] for one in answer["results"]] == [CAT, other]
    first = client.post(SEARCH, json={"query": "a cat on a mat", "k": 1}).json()
    second = client.post(SEARCH, json={"query": "a cat on a mat", "k": 1, "cursor": first["next_cursor"]}).json()
    pages = [[one["image_id"] for one in page["results"]] for page in (first, second)]
    assert (pages, second["next_cursor"]) == ([[CAT], [other]], None)
    assert code(client.post(SEARCH, json={"query": "b", "k": 1, "cursor": first["next_cursor"]})) == (
        400,
        "cursor_invalid",
    )
    batch = client.post(f"{SEARCH}/batch", json={"queries": [{"query": "a cat"}, {"query": "b", "cursor": "x"}]}).json()
    assert batch["answers"][0]["results"][0]["image_id"] == CAT
    assert batch["answers"][1]["code"]
    why = client.post(f"{SEARCH}/explain", json={"query": "a cat", "image_id": other}).json()
    assert why["rank"] == 2
    told = f"/v1/collections/pets/searches/{answer['search_id']}/feedback"
    assert client.post(told, json={"image_id": CAT, "verdict": "relevant"}).status_code == 204
    assert code(client.post(told, json={"image_id": "0" * 64, "verdict": "relevant"})) == (404, "image_unknown")
    client.delete(f"{IMAGES}/{CAT}")
    left = client.post(SEARCH, json={"query": "a cat on a mat"}).json()["results"]
    assert [one["image_id"] for one in left] == [other]


def test_a_search_of_fields(client: httpx.Client, server: Live, home: Path) -> None:
    sign = {"summary": "A quiet street.", "visible_text": ["STOP", "Main Street"], "objects": [{"name": "car"}]}
    street = {"summary": "A stop sign stands in a street.", "objects": [{"name": "stop sign"}]}
    ids = [hashlib.sha256(name).hexdigest() for name in (b"sign", b"street")]
    for image_id, told in zip(ids, (sign, street), strict=True):
        client.put(f"{IMAGES}/{image_id}", json={"description": told})
    asyncio.run(_embed(server, home))
    asked = {"query": "a stop sign", "fields": ["visible_text"]}
    answer = client.post(SEARCH, json=asked).json()
    assert [one["image_id"] for one in answer["results"]] == ids[:1]
    assert (answer["exists"], answer["matches"], answer["next_cursor"]) == (1, "some", None)
    assert {one["field"] for one in answer["results"][0]["evidence"]} == {"/visible_text/0"}
    first = client.post(SEARCH, json=asked | {"fields": ["objects"], "k": 1}).json()
    assert [one["image_id"] for one in first["results"]] == ids[1:]
    rest = client.post(SEARCH, json=asked | {"fields": ["objects"], "k": 1, "cursor": first["next_cursor"]}).json()
    assert ([one["image_id"] for one in rest["results"]], rest["next_cursor"]) == (ids[:1], None)
    batch = client.post(f"{SEARCH}/batch", json={"queries": [asked, asked | {"fields": ["colours"]}]}).json()["answers"]
    assert [one["image_id"] for one in batch[0]["results"]] == ids[:1]
    assert (batch[1]["code"], "visible_text" in batch[1]["fix"]) == ("field_unknown", True)
    why = [
        client.post(f"{SEARCH}/explain", json={**asked, "image_id": image_id}).json() for image_id in (ids[0], ids[1])
    ]
    assert [one["rank"] for one in why] == [1, None]
    assert [one["score"] for one in why] == [answer["results"][0]["score"], None]
    assert why[1]["evidence"] == []


def test_keys_are_made_rotated_and_revoked(client: httpx.Client, server: Live) -> None:
    made = client.post("/v1/keys", json={"collection": "pets", "scope": "admin"}).json()
    with server.client(made["key"]) as own:
        assert code(own.post("/v1/keys", json={"collection": "*", "scope": "search"})) == (403, "key_not_allowed")
        assert [one["key_id"] for one in own.get("/v1/keys").json()["keys"]] == [made["key_id"]]
        fresh = own.post(f"/v1/keys/{made['key_id']}/rotate").json()
        assert own.get("/v1/collections").status_code == 200
    listed = {one["key_id"]: one for one in client.get("/v1/keys").json()["keys"]}
    assert listed[made["key_id"]]["expires_at"]
    assert "key" not in listed[fresh["key_id"]]
    assert client.delete(f"/v1/keys/{fresh['key_id']}").status_code == 204
    with server.client(fresh["key"]) as revoked:
        assert code(revoked.get("/v1/collections")) == (401, "key_revoked")


def test_a_write_that_is_sent_again_gets_its_first_answer(client: httpx.Client) -> None:
    once = {"Idempotency-Key": "one"}
    first = client.post("/v1/collections", json={"name": "new"}, headers=once)
    second = client.post("/v1/collections", json={"name": "new"}, headers=once)
    assert (second.status_code, second.json()) == (201, first.json())
    assert second.headers["idempotent-replay"] == "true"
    assert code(client.post("/v1/collections", json={"name": "x"}, headers=once)) == (422, "idempotency_key_reused")
    failed = {"Idempotency-Key": "two"}
    assert client.post("/v1/collections", json={"name": "new"}, headers=failed).status_code == 409
    assert client.post("/v1/collections", json={"name": "newer"}, headers=failed).status_code == 201
