"""A few hundred generated requests to every endpoint: no server error, nothing that the OpenAPI document denies."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.fuzzing import fuzz
from tests.app.hostile import NAMES, good_body, meet, operations
from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http]
IMAGE = "0" * 64


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets") as running:
        yield running


def test_generated_requests_meet_no_fault(server: Live, tmp_path: Path) -> None:
    done = fuzz(server, "pets", tmp_path, examples=8, seed=20_261_123, phases="examples,fuzzing")
    assert done.clean, done.report
    assert done.cases > 300


def test_hostile_bytes_meet_no_fault(server: Live) -> None:
    done = meet(server, "pets", cases=150, seed=20_261_130, names=NAMES[::4])
    assert done.clean, done.report
    assert done.cases > 700


def properties(schema: Any, document: dict[str, Any]) -> set[str]:
    """The names of all that a JSON body may hold, at any depth."""
    if isinstance(schema, list):
        return {name for one in schema for name in properties(one, document)}
    if not isinstance(schema, dict):
        return set()
    if "$ref" in schema:
        return properties(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    own = set(schema.get("properties", {}))
    parts = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("anyOf"), schema.get("oneOf")]
    return own | properties(parts, document)


def test_hostile_bodies_hold_all_that_a_body_may(server: Live) -> None:
    document = server.app.openapi()
    for one in operations(server):
        told = document["paths"].get(one.path, {}).get(one.method.lower(), {}).get("requestBody", {})
        schema = told.get("content", {}).get("application/json", {}).get("schema")
        good = json.dumps(good_body(one, {"collection": "pets", "image_id": IMAGE}))
        left_out = [name for name in properties(schema, document) if f'"{name}": ' not in good]
        assert left_out == [], (one.method, one.path)
    pages = {one.path for one in operations(server) if one.is_page}
    assert pages >= {"/", "/login", "/logout", "/docs", "/images/{collection}/{image_id}", "/static/{file}", "/metrics"}


def unbroken(characters: int) -> str:
    """A text that can't be compressed, four bytes a character."""
    chance = random.Random(1)
    return "".join(chr(chance.randrange(0x20000, 0x2A6DF)) for _ in range(characters))


def levels(count: int) -> Any:
    return [] if count == 0 else [levels(count - 1)]


def ndjson(lines: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()


def test_what_no_index_takes_is_refused_and_what_is_merely_long_is_stored(server: Live) -> None:
    things = [{"name": "x", "attributes": [unbroken(290)] * 40} for _ in range(10)]
    with server.client(server.key("pets", "ingest")) as client:

        def put(**more: Any) -> tuple[int, Any]:
            body = {"description": {"summary": "a cat"}} | more
            answer = client.put(f"/v1/collections/pets/images/{IMAGE}", json=body)
            return answer.status_code, answer.json()

        long = "https://shop.example/" + unbroken(3_970)
        status, stored = put(uri=long, metadata={"deep": levels(62), "long": unbroken(9_000)}, external_id="a" * 1_000)
        assert (status, stored["uris"]) == (200, [long])
        assert put(uri=long)[1]["uris"] == [long]
        assert client.get(f"/v1/collections/pets/images/{IMAGE}").json()["metadata"]["deep"] == levels(62)
        refused = (
            {"external_id": unbroken(1_000)},
            {"description": {"objects": things}},
            {"metadata": {"a": levels(64)}},
        )
        for more in refused:
            assert put(**more)[0] == 422, more
        patched = client.patch(f"/v1/collections/pets/images/{IMAGE}", json={"metadata": {"a": levels(400)}})
        assert patched.status_code == 422
        lines: list[dict[str, Any]] = [
            {"id": unbroken(600), "text": "a"},
            {"id": "1", "description": {"objects": things}},
            {"id": "2", "text": "a", "metadata": {"a": levels(70)}},
            {"id": "3", "text": "a", "uri": long},
        ]
        answer = client.post("/v1/collections/pets/bulk", content=ndjson(lines))
        assert [line["status"] for line in answer.json()["lines"]] == ["rejected"] * 3 + ["stored"]
