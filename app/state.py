"""What the running server is made of; injected into `create_app`, found again from a request."""

from dataclasses import dataclass, field
from typing import Protocol, cast

from fastapi import Request

from app.jobs.desk import Desk
from app.jobs.events import Streams
from app.limits import KeyLimits
from app.metrics import Metrics
from app.search.embedding import BackgroundEmbedding
from app.search.log import BatchLog
from app.search.service import SearchService
from app.security import Secret
from scenes.catalog.engine import Catalog
from scenes.catalog.keys import KeyRow


class KeyCheck(Protocol):
    """Checks API keys."""

    async def check(self, key: str) -> KeyRow: ...


@dataclass(frozen=True, slots=True)
class State:
    """The parts that endpoints use."""

    catalog: Catalog
    service: SearchService
    log: BatchLog
    keys: KeyCheck
    secret: Secret
    limits: KeyLimits
    metrics: Metrics
    desk: Desk
    embedding: BackgroundEmbedding
    streams: Streams = field(default_factory=Streams)


def state_of(request: Request) -> State:
    """The state of the app that a request came to."""
    return cast(State, request.app.state.wordsight)
