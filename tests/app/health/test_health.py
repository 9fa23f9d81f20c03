"""What anyone may know of a server's health, and what its operator may."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from app.asgi import opened
from app.http.telemetry.metrics import Metrics
from app.main import create_app
from app.settings import Settings
from indexer.releases.release import releases_folder
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import Scope
from tests.app.live import live
from tests.indexer.world import World

pytestmark = pytest.mark.http


async def damaged(url: str, home: Path) -> None:
    """The collection `c`, whose release is lost."""
    catalog = Catalog.connect(url.replace("postgresql://", "postgresql+psycopg://"))
    world = World(catalog, home)
    await world.add("a red bus")
    await world.refresh()
    await catalog.close()
    shutil.rmtree(releases_folder(home))


@pytest.mark.postgres
@pytest.mark.faiss
def test_only_an_admin_key_is_shown_where_files_are(database_url: str, home: Path) -> None:
    asyncio.run(damaged(database_url, home))
    with live(database_url, home) as server:
        with server.client(server.key("c", "search")) as client:
            assert client.post("/v1/collections/c/search", json={"query": "bus"}).is_success
        keys: tuple[tuple[str, Scope], ...] = (("c", "search"), ("c", "admin"))
        unknown: list[str | None] = [None, "ws_wrong", *(server.key(*one) for one in keys)]
        for key in unknown:
            with server.client(key) as client:
                answer = client.get("/readyz")
            assert answer.status_code == 200
            warning, _no_worker = answer.json()["warnings"]
            assert "damaged or lost" in warning
            assert str(home) not in answer.text
        with server.client(server.key("*", "admin")) as client:
            warning, _no_worker = client.get("/readyz").json()["warnings"]
        assert str(home) in warning


@pytest.mark.encoder
async def test_that_postgres_is_away_names_no_address(home: Path) -> None:
    named = {"WORDSIGHT_HOME": home, "WORDSIGHT_SCHEMA_IS_NEW": True}
    named |= {"DATABASE_URL": "postgresql://ursula@127.0.0.1:1/hidden"}
    app = create_app(lambda: opened(Settings.model_validate(named), Metrics()), Metrics(), 8)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")
    async with app.router.lifespan_context(app), client:
        for path in ("/readyz", "/v1/collections", "/"):
            answer = await client.get(path, headers={"Authorization": "Bearer ws_x"})
            assert not [word for word in ("127.0.0.1", "ursula", "hidden", str(home)) if word in answer.text], path
