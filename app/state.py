"""What the running server is made of; injected into `create_app`, found again from a request."""

from dataclasses import dataclass, field
from typing import Protocol, cast

from fastapi import Request

from app.http.limits import WRITES_PER_KEY, KeyLimits, Shares, Turns, open_streams, open_uploads
from app.http.security import Secret
from app.http.telemetry.metrics import Metrics
from app.jobs.service import Desk
from app.search.embedding import BackgroundEmbedding
from app.search.log import BatchLog
from app.search.service import SearchService
from indexer.releases.recall_watch import RecallWatch
from scenes.allowed.models import AllowedModels
from scenes.catalog.connection import Catalog
from scenes.catalog.keys import KeyRow


class KeyCheck(Protocol):
    """Checks API keys."""

    def has_seen(self, key: str) -> bool: ...

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
    models: AllowedModels = AllowedModels()
    streams: Shares = field(default_factory=open_streams)
    uploads: Shares = field(default_factory=open_uploads)
    writes: Turns = field(default_factory=lambda: Turns(WRITES_PER_KEY))
    recall: RecallWatch | None = None


def state_of(request: Request) -> State:
    """The state of the app that a request came to."""
    return cast(State, request.app.state.wordsight)
