"""The app, with everything injected."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from app import problems
from app.bounds import Bounds
from app.collections.endpoints import router as collections_router
from app.health.endpoints import router as health_router
from app.idempotency import Idempotency
from app.images.descriptions import router as descriptions_router
from app.images.endpoints import router as images_router
from app.keys.endpoints import router as keys_router
from app.metrics import Metrics
from app.pages.router import mount as mount_pages
from app.search.endpoints import router as search_router
from app.state import State
from app.watch import Watch

VERSION = "0.1.0"
_ABOUT = "Find images by words without looking at them. Every error is application/problem+json with a stable code."


def create_app(
    opened: Callable[[], AbstractAsyncContextManager[State]], metrics: Metrics, max_concurrent: int
) -> FastAPI:
    """An app over a state that is opened when it starts and closed when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as state:
            app.state.wordsight = state
            yield

    app = FastAPI(title="wordsight", version=VERSION, description=_ABOUT, lifespan=lifespan)
    problems.install(app)
    for router in (search_router, collections_router, images_router, descriptions_router, keys_router, health_router):
        app.include_router(router)
    mount_pages(app)
    app.add_middleware(Idempotency)
    app.add_middleware(Bounds)
    app.add_middleware(Watch, metrics=metrics, most=max_concurrent)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        body = FastAPI.openapi(app)
        body["components"]["schemas"]["Problem"] = problems.Problem.model_json_schema()
        app.openapi_schema = body
    return app.openapi_schema
