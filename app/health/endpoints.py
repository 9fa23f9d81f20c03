"""Liveness and readiness, apart: a live server may not be ready, as long as Postgres is away."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from app.metrics import CONTENT_TYPE
from app.problems import responses
from app.state import state_of

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """'ok', or a problem is answered instead."""

    status: str = "ok"


class Readiness(Health):
    """Ready; `warnings` say where an older release answers, because the active one is damaged or lost, where the
    served recall is below the promise, and where images have been stored for a while but are not searchable yet."""

    warnings: tuple[str, ...] = ()


@router.get("/healthz")
async def live() -> Health:
    """The process answers."""
    return Health()


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """What this server counts, for Prometheus; it names no collection, key or query."""
    return Response(state_of(request).metrics.text(), media_type=CONTENT_TYPE)


@router.get("/readyz", responses=responses(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready(request: Request) -> Readiness:
    """Postgres answers and the encoder is loaded: searches will be answered."""
    state = state_of(request)
    await state.catalog.ping()
    troubles = sorted(state.service.engines.troubles().items())
    below = {} if state.service.looking.recall is None else state.service.looking.recall.below()
    troubles += [(number, f"served recall@10 is {one.recall:.3f}") for number, one in sorted(below.items())]
    troubles += sorted(state.embedding.warnings())
    return Readiness(warnings=tuple(f"collection {number}: {why}" for number, why in troubles))
