"""Jobs as REST shows them and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from scenes.catalog.jobs import JobKind, JobRow, JobState
from scenes.collection import CollectionName
from scenes.description import Text

Source = Annotated[
    Text,
    StringConstraints(min_length=1, max_length=4_000),
    Field(description="A path on the worker's machine or a URL, below what the operator allowed."),
]
_PHOTOS = {"collection": "photos", "source": "/data/photos"}


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: CollectionName


class IngestOrder(_Order):
    """Describe every image of a source, publish the descriptions, make them searchable."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "ingest", **_PHOTOS}]})

    kind: Literal["ingest"]
    source: Source


class PublishOrder(_Order):
    """Publish the batches of `wordsight caption run --out SOURCE` and make them searchable."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "publish", **_PHOTOS}]})

    kind: Literal["publish"]
    source: Source


class IndexOrder(_Order):
    """Build a new index release."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "index", "collection": "photos"}]})

    kind: Literal["index"]


JobOrder = Annotated[IngestOrder | PublishOrder | IndexOrder, Field(discriminator="kind")]


class JobError(BaseModel):
    """Why a job failed; `code` is stable."""

    code: str
    message: str
    fix: str | None


class JobBody(BaseModel):
    """A job. Of an ingestion `counts` holds described, refused, failed and already, which add up to `inputs`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": "5f0c2d9e-7a31-4c66-9d43-0e6c1a2b3c4d",
                    "kind": "ingest",
                    "collection": "photos",
                    "source": "/data/photos",
                    "image_id": None,
                    "state": "running",
                    "counts": {"inputs": 3, "described": 2, "refused": 1, "failed": 0, "already": 0},
                    "reasons": {"not_an_image": 1},
                    "error": None,
                    "attempt": 1,
                    "key_id": "key_0123456789abcdef",
                    "created_at": "2026-01-02T03:04:05Z",
                    "updated_at": "2026-01-02T03:04:09Z",
                    "started_at": "2026-01-02T03:04:06Z",
                    "ended_at": None,
                }
            ]
        }
    )

    job_id: UUID
    kind: JobKind
    collection: str
    source: str | None
    image_id: str | None = Field(description="The image that was uploaded.")
    state: JobState
    counts: dict[str, int]
    reasons: dict[str, int]
    error: JobError | None
    attempt: int = Field(description="How many workers have taken it.")
    key_id: str = Field(description="Who asked for it.")
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class JobPage(BaseModel):
    """Some jobs, the newest first; `next` is the `before` of the following page, null on the last one."""

    jobs: tuple[JobBody, ...]
    next: int | None


def job_body(row: JobRow) -> JobBody:
    """What REST shows of a job."""
    facts: dict[str, Any] = {name: getattr(row, name) for name in JobBody.model_fields if name != "job_id"}
    return JobBody(job_id=row.id, **facts)
