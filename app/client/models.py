"""What the server answers. Fields that a newer server adds are kept, not refused."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Answered(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Match(_Answered):
    """One image of an answer; `score` is a similarity, higher is better."""

    image_id: str
    external_id: str | None = None
    uri: str | None = None
    score: float
    probability: float | None = None
    description: dict[str, Any]
    metadata: dict[str, Any]
    source: str
    evidence: list[dict[str, Any]] | None = None


class Answer(_Answered):
    """The images found, best first; `code` tells a problem with this one query of a batch."""

    results: list[Match] = []
    matches: str = "none"
    exists: int | None = None
    reranked: int | None = None
    query_truncated: bool = False
    release: str | None = None
    search_id: UUID | None = None
    next_cursor: str | None = None
    pending: int = 0
    code: str | None = None


class Explanation(_Answered):
    """Where an image stands for a query."""

    image_id: str
    rank: int | None
    score: float | None
    evidence: list[dict[str, Any]]


class Stored(_Answered):
    """A stored search."""

    search_id: UUID
    query: str | None
    k: int
    results: list[dict[str, Any]]
    created_at: datetime
    expires_at: datetime


class Image(_Answered):
    """An image in words; `description_id` is what an edit must name."""

    image_id: str
    external_id: str | None
    uris: list[str]
    metadata: dict[str, Any]
    description: dict[str, Any]
    description_id: int
    source: str


class Version(_Answered):
    """One description that an image has had."""

    description_id: int
    source: str
    description: dict[str, Any]
    created_at: datetime
    current: bool


class BulkResult(_Answered):
    """What became of lines sent in bulk."""

    stored: int
    rejected: int
    lines: list[dict[str, Any]]


class Collection(_Answered):
    """A collection's settings and counts."""

    settings: dict[str, Any]
    images: int
    pending: int = 0
    refused: int
    failed: int
    generation: int
    release: str | None


class Job(_Answered):
    """Work that a worker does; `error` is there where it failed, `image_id` where an image was uploaded."""

    job_id: UUID
    kind: str
    collection: str
    source: str | None
    image_id: str | None
    state: str
    counts: dict[str, int]
    reasons: dict[str, int]
    error: dict[str, Any] | None
    attempt: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Is it done, failed or cancelled?"""
        return self.ended_at is not None


class AuditEntry(_Answered):
    """One write, by whom and when."""

    id: int
    at: datetime
    key_id: str
    action: str
    collection: str | None
    target: str | None


class Key(_Answered):
    """An API key; `key` is there only when it was just made."""

    key_id: str
    name: str
    collection: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    key: str | None = None
