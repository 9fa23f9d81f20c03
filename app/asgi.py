"""The wiring of the server: `uvicorn app.asgi:app` with DATABASE_URL and WORDSIGHT_HOME set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from app.access import KeyCache
from app.keys.service import Keys
from app.main import create_app
from app.search.expiry import purging
from app.search.log import batching
from app.search.service import make_service
from app.security import Secret
from app.settings import Settings
from app.state import State
from indexer.serving_encoder import load_encoder
from scenes.catalog.embedded import postgres
from scenes.catalog.engine import Catalog

POOL_SIZE = 10


@asynccontextmanager
async def opened() -> AsyncIterator[State]:
    """Everything the server needs, from the environment; the shipped encoder is warm before the first request."""
    config = Settings()
    config.home.mkdir(parents=True, exist_ok=True)
    with postgres(config.home, config.database) as url:
        catalog = Catalog.connect(url, pool_size=POOL_SIZE)
        try:
            async with _state(catalog, config) as state:
                yield state
        finally:
            await catalog.close()


@asynccontextmanager
async def _state(catalog: Catalog, config: Settings) -> AsyncIterator[State]:
    secret = Secret.load(config.home, config.secret)
    load = partial(load_encoder, home=config.home, runtime=config.encoder_runtime)
    async with batching(catalog) as log, purging(catalog):
        service = make_service(catalog, load, config.home, secret, log)
        try:
            await service.engines.of(None)
            async with service.engines.following():
                yield State(catalog, service, log, KeyCache(Keys(catalog, secret)), secret)
        finally:
            service.engines.close()


app = create_app(opened)
