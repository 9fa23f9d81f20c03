"""The app over real HTTP in this process: real Postgres, a fake encoder that obeys the contract, started in no time."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from app.http.access import KeyCache
from app.http.limits import KeyLimits
from app.http.security import Secret
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.tracing import Tracing
from app.jobs.service import Desk
from app.keys.service import Keys
from app.main import create_app
from app.search.embedding import BackgroundEmbedding
from app.search.log import batching
from app.search.service import make_service
from app.state import State
from app.uploads.spool import Spool
from indexer.encoding.encoder import Encoder
from scenes.allowed.models import AllowedModels
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import Scope
from scenes.collection import Collection
from tests.indexer.letters import BagOfLetters

SOURCES = "/allowed"
SECRET_TEXT = "a secret of thirty-two characters"
SECRET = Secret(SECRET_TEXT.encode())


@dataclass(frozen=True)
class Live:
    """A running app: its address and its OpenAPI document's app."""

    url: str
    app: FastAPI
    database_url: str

    def key(self, collection: str, scope: Scope) -> str:
        """A fresh key."""
        return asyncio.run(self._key(collection, scope))

    async def _key(self, collection: str, scope: Scope) -> str:
        catalog = Catalog.connect(self.database_url)
        try:
            return (await Keys(catalog, SECRET).create(collection, scope))[0]
        finally:
            await catalog.close()

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def live(
    database_url: str,
    home: Path,
    *names: str,
    per_key: float = 10_000.0,
    most: int = 64,
    cors: Sequence[str] = (),
    load: Callable[[str | None], Encoder] = lambda _name: BagOfLetters(),
    sources: Sequence[str] = (SOURCES,),
    tracing: Tracing | None = None,
    models: AllowedModels = AllowedModels(),
    embed_share: float | None = None,
) -> Iterator[Live]:
    """The app until the block ends, with collections of these names; `load` makes encoders by their names. It embeds
    in the background only with an `embed_share`."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    metrics = Metrics()
    app = create_app(
        lambda: _opened(url, home, names, per_key, metrics, load, tuple(sources), models, embed_share),
        metrics,
        most,
        cors,
        tracing,
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
        assert server.started
        try:
            yield Live(f"http://127.0.0.1:{port}", app, url)
        finally:
            server.should_exit = True
            thread.join(20)


async def heartbeat(database_url: str) -> None:
    """What a worker that runs tells of itself, so that uploads are taken."""
    catalog = Catalog.connect(database_url)
    try:
        async with catalog.writing() as session:
            await session.execute(text("SELECT procrastinate_register_worker_v1()"))
    finally:
        await catalog.close()


@asynccontextmanager
async def _opened(
    url: str,
    home: Path,
    names: tuple[str, ...],
    per_key: float,
    metrics: Metrics,
    load: Callable[[str | None], Encoder],
    sources: tuple[str, ...],
    models: AllowedModels,
    embed_share: float | None,
) -> AsyncIterator[State]:
    catalog = Catalog.connect(url)
    try:
        async with catalog.writing() as session:
            for name in names:
                await collections.ensure(session, Collection(name=name))
        async with batching(catalog) as log:
            service = make_service(catalog, load, home, SECRET, log, metrics)
            try:
                keys, desk = KeyCache(Keys(catalog, SECRET)), Desk(catalog, Spool(home / "spool", SECRET), sources)
                embedding = BackgroundEmbedding(catalog, service.retriever.encoders, metrics, embed_share or 0)
                async with embedding.running() if embed_share is not None else nullcontext():
                    limits = KeyLimits(per_key)
                    yield State(catalog, service, log, keys, SECRET, limits, metrics, desk, embedding, models)
            finally:
                service.close()
    finally:
        await catalog.close()
