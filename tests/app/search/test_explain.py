"""An explanation tells how much of the score each phrase won; a search does not."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from indexer.encoding.serving import load_encoder
from indexer.releases.refresh import refresh
from scenes.catalog.connection import Catalog
from tests.app.live import live

pytestmark = [pytest.mark.postgres, pytest.mark.http, pytest.mark.encoder]
IMAGE = hashlib.sha256(b"street").hexdigest()
ADDRESS = f"/v1/collections/pets/images/{IMAGE}"
PLAIN = hashlib.sha256(b"plain").hexdigest()
ADDRESS_OF_PLAIN = f"/v1/collections/pets/images/{PLAIN}"
STREET = {
    "summary": "A quiet street.",
    "detail": "Snow lies on the roofs. A red automobile waits.",
    "objects": [{"name": "lamp", "attributes": ["old"]}],
    "visible_text": ["BAKERY"],
}


def test_shares_are_those_of_the_phrases_that_won(database_url: str, home: Path) -> None:
    encoder = load_encoder(None, home)

    async def embed() -> None:
        catalog = Catalog.connect(database_url.replace("postgresql://", "postgresql+psycopg://"))
        await refresh(catalog, "pets", encoder, home)
        await catalog.close()

    with (
        live(database_url, home, "pets", load=lambda _name: encoder) as server,
        server.client(server.key("*", "admin")) as client,
    ):

        def told(query: str, **more: object) -> list[dict[str, object]]:
            asked = {"query": query, "image_id": IMAGE, **more}
            return list(client.post("/v1/collections/pets/search/explain", json=asked).json()["evidence"])

        put = client.put(ADDRESS, json={"description": STREET})
        asyncio.run(embed())
        first = told("a red car")[0]
        assert (first["field"], first["phrase"]) == ("/detail", "A red automobile waits.")
        shares = [float(str(one["share"])) for one in told("a red car and an old lamp beside a bakery")]
        assert shares == sorted(shares, reverse=True)
        assert 0.5 < sum(shares) <= 1.0 + 1e-9
        (only,) = told("the bakery", fields=["visible_text"])
        assert (only["field"], float(str(only["share"])) > 0.4) == ("/visible_text/0", True)
        client.put(ADDRESS_OF_PLAIN, json={"description": {"detail": STREET["detail"]}})
        read = told("a red automobile", image_id=PLAIN, fields=["objects", "actions"])
        assert [(one["field"], one["phrase"]) for one in read] == [
            ("/objects/2", "red automobile"),
            ("/actions/1", "red automobile waits"),
        ]
        assert float(str(read[0]["share"])) > 0.4
        found = client.post("/v1/collections/pets/search", json={"query": "a red automobile"}).json()["results"]
        for place, one in enumerate(found, start=1):
            asked = {"query": "a red automobile", "image_id": one["image_id"]}
            why = client.post("/v1/collections/pets/search/explain", json=asked).json()
            assert (why["rank"], why["score"]) == (place, one["score"])
            assert why["better_than_last"] == one["score"] - found[-1]["score"]
        assert {one["share"] for one in found[0]["evidence"]} == {None}
        edit = STREET | {"detail": "Rain lies on the roofs. A blue automobile waits."}
        client.put(f"{ADDRESS}/description", json=edit, headers={"If-Match": put.headers["etag"]})
        assert {one["share"] for one in told("a blue automobile")} == {None}
        asyncio.run(embed())
        assert float(str(told("a blue automobile")[0]["share"])) > 0.4
