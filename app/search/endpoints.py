"""`POST /v1/collections/{collection}/search`: by POST, so that no query lands in a proxy's log."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.access import CallerDependency
from app.problems import responses
from app.state import state_of
from scenes.answer import Answer, Query
from scenes.catalog import collections, searches
from scenes.errors import NotFound

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"])
_PROBLEMS = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class StoredResult(BaseModel):
    """One result of a stored search."""

    image_id: str
    score: float


class Stored(BaseModel):
    """A stored search: what was answered, never more of the query than the collection's policy keeps."""

    search_id: UUID
    release: UUID | None
    query: str | None
    k: int
    results: tuple[StoredResult, ...]
    created_at: str
    expires_at: str


@router.post("/search", responses=_PROBLEMS, response_model=Answer)
async def search(collection: str, query: Query, request: Request, caller: CallerDependency) -> Response:
    """Find the images that best fit the words, best first."""
    caller.require("search", collection)
    answer = await state_of(request).service.search(collection, query)
    return Response(answer.model_dump_json(), media_type="application/json")


@router.get("/searches/{search_id}", responses=_PROBLEMS)
async def stored_search(collection: str, search_id: UUID, request: Request, caller: CallerDependency) -> Stored:
    """What a search answered."""
    caller.require("search", collection)
    await state_of(request).log.flush_for(search_id)
    async with state_of(request).catalog.reading() as session:
        row = await collections.get(session, collection)
        found = await searches.get(session, search_id)
    if found.collection_id != row.id:
        raise NotFound("search_unknown", f"there is no stored search {search_id} in this collection")
    return Stored(
        search_id=found.id,
        release=found.release,
        query=found.query_text,
        k=found.k,
        results=tuple(StoredResult(image_id=image_id, score=score) for image_id, score in found.results),
        created_at=found.created_at.isoformat(),
        expires_at=found.expires_at.isoformat(),
    )
