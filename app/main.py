"""The app, with everything injected."""

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig

from app.audit.endpoints import router as audit_router
from app.collections.endpoints import router as collections_router
from app.health.endpoints import router as health_router
from app.http import problems
from app.http.middleware.admission import Admission
from app.http.middleware.authentication import Authentication
from app.http.middleware.bounds import Bounds
from app.http.middleware.idempotency import Idempotency
from app.http.middleware.requests import Watch
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.tracing import Tracing
from app.images.descriptions import bulk_router
from app.images.descriptions import router as descriptions_router
from app.images.endpoints import router as images_router
from app.jobs.endpoints import router as jobs_router
from app.keys.endpoints import router as keys_router
from app.pages.router import mount as mount_pages
from app.search.endpoints import router as search_router
from app.state import State
from app.uploads.endpoints import router as uploads_router

VERSION = "0.1.0"
ROUTERS = (
    search_router,
    collections_router,
    images_router,
    descriptions_router,
    bulk_router,
    uploads_router,
    jobs_router,
    keys_router,
    audit_router,
    health_router,
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT = ("Authorization", "Content-Type", "If-Match", "Idempotency-Key", "X-Request-Id")
_SHOWN = ("ETag", "Location", "Retry-After", "X-Request-Id")
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own names collections; `app.http.telemetry` reports what may be reported."""
_ABOUT = "Find images by words without looking at them. Every error is application/problem+json with a stable code."


def create_app(
    opened: Callable[[], AbstractAsyncContextManager[State]],
    metrics: Metrics,
    max_concurrent: int,
    cors_origins: Sequence[str] = (),
    tracing: Tracing | None = None,
) -> FastAPI:
    """An app over a state that is opened when it starts and closed when it stops.

    Scripts of `cors_origins` alone may call it from a browser; cookies are never sent with such a call.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as state:
            app.state.wordsight = state
            yield
        if tracing is not None:
            tracing.close()

    app = FastAPI(
        title="wordsight",
        version=VERSION,
        description=_ABOUT,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
        docs_url=None,  # FastAPI's own pages load their scripts from another host: `app.pages` has them
        redoc_url=None,
    )
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    mount_pages(app)
    app.add_middleware(Idempotency)
    admission = Admission(max_concurrent)
    app.add_middleware(Bounds, admission=admission)
    app.add_middleware(Authentication, admission=admission)
    app.add_middleware(Watch, metrics=metrics, admission=admission, tracing=tracing)
    if cors_origins:
        _open_to(app, cors_origins)
    making = threading.Lock()
    app.openapi = lambda: _openapi(app, making)  # type: ignore[method-assign]
    _serve_document(app)
    return app


def _serve_document(app: FastAPI) -> None:
    """Serve the OpenAPI document as bytes that were written once: anyone may ask for it, and writing it is work."""
    written: tuple[dict[str, Any], bytes] = {}, b""

    async def document(_request: Request) -> Response:
        nonlocal written
        now = await problems.document_of(app)
        if written[0] is not now:
            written = now, bytes(JSONResponse(now).body)
        return Response(written[1], media_type="application/json")

    app.router.routes[:] = [one for one in app.router.routes if getattr(one, "path", None) != app.openapi_url]
    app.add_route(str(app.openapi_url), document, include_in_schema=False)


def _open_to(app: FastAPI, origins: Sequence[str]) -> None:
    app.add_middleware(
        CORSMiddleware, allow_origins=list(origins), allow_methods=_METHODS, allow_headers=_SENT, expose_headers=_SHOWN
    )


def _openapi(app: FastAPI, making: threading.Lock) -> dict[str, object]:
    with making:
        if app.openapi_schema is None:
            body = FastAPI.openapi(app)
            body["components"]["schemas"]["Problem"] = problems.Problem.model_json_schema()
            _require_if_match(body)
            app.openapi_schema = body
        return app.openapi_schema


def _require_if_match(document: dict[str, Any]) -> None:
    """An edit without If-Match is refused with its own code, so only the document says that it is required."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "if-match":
                    parameter |= {"required": True, "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'}}
