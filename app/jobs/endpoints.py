"""Jobs over REST: start, list, look at, follow, cancel. The server itself never captions."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.http.access import CallerDependency
from app.http.problems import responses
from app.jobs.events import EventStream
from app.jobs.schemas import JobBody, JobOrder, JobPage, job_body
from app.state import state_of
from scenes.catalog import jobs
from scenes.catalog.jobs import JobRow, JobState
from scenes.catalog.keys import EVERY_COLLECTION
from scenes.collection import CollectionName

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
PROBLEMS = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_EVENT = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"enum": ["progress", "end"]},
        "id": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/JobBody"},
        },
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One `progress` event now and one a change; `end` is the last one. Each holds the job.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}
Before = Annotated[int, Query(ge=1, le=2**62, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1_000)]
Of = Annotated[CollectionName | None, Query(description="Only jobs of this collection.")]
In = Annotated[JobState | None, Query(description="Only jobs in this state.")]
Follow = Annotated[bool, Query(description="false: one event, then the stream ends.")]


@router.post("", responses=PROBLEMS, status_code=HTTPStatus.ACCEPTED)
async def start_job(body: JobOrder, request: Request, response: Response, caller: CallerDependency) -> JobBody:
    """Start a job; a worker (`wordsight worker`) does it. Its engine is the collection's."""
    caller.require("ingest", body.collection)
    source = getattr(body, "source", None)
    job = await state_of(request).desk.start(body.kind, body.collection, source, caller.key.key_id)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_body(job)


@router.get("", responses=PROBLEMS)
async def list_jobs(
    request: Request,
    caller: CallerDependency,
    collection: Of = None,
    state: In = None,
    before: Before = 2**62,
    limit: Limit = 100,
) -> JobPage:
    """The jobs of the collections that this key may write to, the newest first; kept for 30 days."""
    own = caller.key.collection
    wanted = collection or (None if own == EVERY_COLLECTION else own)
    caller.require("ingest", wanted)
    async with state_of(request).catalog.reading() as session:
        found = await jobs.page(session, wanted, state=state, before=before, limit=limit)
    following = found[-1].number if len(found) == limit else None
    return JobPage(jobs=tuple(job_body(row) for row in found), next=following)


@router.get("/{job_id}", responses=PROBLEMS)
async def get_job(job_id: UUID, request: Request, caller: CallerDependency) -> JobBody:
    """One job: its state, its counts, its error."""
    return job_body(await _mine(job_id, request, caller))


@router.post("/{job_id}/cancel", responses=PROBLEMS, status_code=HTTPStatus.ACCEPTED)
async def cancel_job(job_id: UUID, request: Request, response: Response, caller: CallerDependency) -> JobBody:
    """Ask a job to stop: nothing more is described; what is described already is published."""
    await _mine(job_id, request, caller)
    response.headers["Content-Location"] = f"/v1/jobs/{job_id}"
    return job_body(await state_of(request).desk.cancel(job_id, caller.key.key_id))


@router.get("/{job_id}/events", responses=PROBLEMS | _STREAM, response_class=StreamingResponse)
async def follow_job(job_id: UUID, request: Request, caller: CallerDependency, follow: Follow = True) -> Response:
    """Follow a job by server-sent events until it is over, for five minutes at most; then ask again."""
    job, state = await _mine(job_id, request, caller), state_of(request)
    return EventStream(state.streams, caller.key.key_id, state.catalog, job, follow=follow)


async def _mine(job_id: UUID, request: Request, caller: CallerDependency) -> JobRow:
    async with state_of(request).catalog.reading() as session:
        job = await jobs.get(session, job_id)
    caller.require("ingest", job.collection)
    return job
