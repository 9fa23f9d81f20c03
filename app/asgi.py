"""The wiring of the server: `uvicorn app.asgi:app` with DATABASE_URL and WORDSIGHT_HOME set."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.access import KeyCache
from app.keys.service import Keys
from app.main import create_app
from app.search.expiry import purging
from app.search.service import make_service
from app.security import Secret
from app.settings import Settings
from app.state import State
from scenes.catalog.embedded import postgres
from scenes.catalog.engine import Catalog

if TYPE_CHECKING:
    from indexer.encoder import Encoder

POOL_SIZE = 10


@asynccontextmanager
async def opened() -> AsyncIterator[State]:
    """Everything the server needs, from the environment; the encoder is warm before the first request."""
    config = Settings()
    config.home.mkdir(parents=True, exist_ok=True)
    with postgres(config.home, config.database) as url:
        catalog = Catalog.connect(url, pool_size=POOL_SIZE)
        try:
            secret = Secret.load(config.home, config.secret)
            encoder = await asyncio.to_thread(_warm_encoder, config.encoder)
            service = make_service(catalog, encoder, config.home, secret)
            async with purging(catalog):
                yield State(catalog, service, KeyCache(Keys(catalog, secret)), secret)
        finally:
            await catalog.close()


def _warm_encoder(name: str | None) -> "Encoder":
    from indexer.sentence_encoder import SentenceEncoder

    encoder = SentenceEncoder.load(name)
    encoder.encode_queries(["a first query, so that the next one is quick"])
    return encoder


app = create_app(opened)
