"""Raw images over REST: sealed while they stream in, described by a worker, gone at the outcome."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from app.http.access import CallerDependency
from app.http.parameters import CollectionPath
from app.jobs.endpoints import PROBLEMS
from app.jobs.schemas import JobBody, job_body
from app.jobs.service import Desk
from app.state import state_of
from scenes.catalog.jobs import JobRow
from scenes.description import Text
from scenes.errors import BadInput

router = APIRouter(prefix="/v1/collections/{collection}/uploads", tags=["uploads"])
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}
Uri = Annotated[
    Annotated[Text, StringConstraints(min_length=1, max_length=4_000)] | None,
    Query(description="Where the image comes from; kept beside its description."),
]


@router.post("", responses=PROBLEMS, status_code=HTTPStatus.ACCEPTED, openapi_extra=_BYTES)
async def upload_image(
    collection: CollectionPath, request: Request, response: Response, caller: CallerDependency, uri: Uri = None
) -> JobBody:
    """Send the bytes of one image, 32 MiB at most, to be described by a worker; the answer is its job.

    The bytes are on disk only encrypted, and are deleted at the outcome, whatever it is. Sent again, nothing is
    described twice: an image is named by its bytes.
    """
    caller.require("ingest", collection)
    state = state_of(request)
    with state.uploads.used_by(caller.key.key_id):
        job = await _taken(state.desk, collection, request, caller.key.key_id, uri)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_body(job)


async def _taken(desk: Desk, collection: str, request: Request, key_id: str, uri: str | None) -> JobRow:
    job_id = uuid4()
    row = await desk.check_upload(collection)
    sealed = await desk.spool.take(job_id, request.stream())
    try:
        if not sealed.size:
            raise BadInput("upload_empty", "the body holds no bytes", fix="send the image's bytes as the body")
        return await desk.start_upload(job_id, row, sealed, uri, key_id)
    except BaseException:
        desk.spool.drop(job_id)
        raise
