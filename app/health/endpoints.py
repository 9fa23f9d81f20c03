"""Liveness and readiness, apart: a live server may not be ready, as long as Postgres is away."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from app.http.middleware.authentication import is_operator
from app.http.problems import responses
from app.http.telemetry.metrics import CONTENT_TYPE
from app.state import state_of
from scenes.catalog import queue

NO_WORKER = "no worker runs: no job is done and no release is built; start: wordsight worker"
router = APIRouter(tags=["health"])
_DAMAGED = "its active release is damaged or lost; an older one answers, or Postgres"


class Health(BaseModel):
    """'ok', or a problem is answered instead."""

    status: str = "ok"


class Readiness(Health):
    """Ready; `warnings` say where an older release answers, because the active one is damaged or lost, where the
    served recall is below the promise, where images have been stored for a while but are not searchable yet, and that
    no worker runs. Details, which name files, are for admin keys alone."""

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
    async with state.catalog.reading() as session:
        alive = await queue.workers_alive(session, state.desk.lost_after)
    troubles = sorted(state.service.retriever.encoders.troubles().items())
    if troubles and not await is_operator(request.scope):
        troubles = [(number, _DAMAGED) for number, _ in troubles]
    below = {} if state.recall is None else state.recall.below()
    troubles += [(number, f"served recall@10 is {one.recall:.3f}") for number, one in sorted(below.items())]
    troubles += sorted(state.embedding.warnings())
    warnings = [f"collection {number}: {why}" for number, why in troubles]
    return Readiness(warnings=(*warnings, *(() if alive else (NO_WORKER,))))
