"""Liveness and readiness, apart: a live server may not be ready, as long as Postgres is away."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.problems import responses
from app.state import state_of

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """'ok', or a problem is answered instead."""

    status: str = "ok"


@router.get("/healthz")
async def live() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses=responses(HTTPStatus.SERVICE_UNAVAILABLE))
async def ready(request: Request) -> Health:
    """Postgres answers and the encoder is loaded: searches will be answered."""
    await state_of(request).catalog.ping()
    return Health()
