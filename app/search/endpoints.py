"""`POST /v1/collections/{collection}/search`: by POST, so that no query lands in a proxy's log."""

import asyncio
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http.access import CallerDependency, caller_of
from app.http.parameters import CollectionPath, json_body, read_json
from app.http.problems import Problem, told, usual_responses
from app.http.transaction import audited
from app.search.explain import Explanation, explain
from app.state import state_of
from scenes.answer import Answer, FieldNames, Query, QueryText
from scenes.catalog import collections, feedback, images, searches
from scenes.catalog.connection import ReadSession
from scenes.catalog.feedback import Verdict
from scenes.catalog.searches import StoredSearch
from scenes.errors import NotFound, WordsightError
from scenes.identity import ImageId

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"])
_PROBLEMS = usual_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


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


class Batch(BaseModel):
    """Several questions at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"queries": [{"query": "a cat"}]}]})

    queries: Annotated[tuple[Query, ...], Field(min_length=1, max_length=64)]


class BatchAnswers(BaseModel):
    """For each question its answer, or the problem with it, in the order of the questions."""

    answers: tuple[Answer | Problem, ...]


class ExplainQuery(BaseModel):
    """Which image, and for which query."""

    model_config = ConfigDict(extra="forbid")

    query: QueryText
    image_id: ImageId
    fields: FieldNames | None = Field(None, description="As of the search that is to be explained.")


class Feedback(BaseModel):
    """Was an image what the searcher looked for?"""

    model_config = ConfigDict(extra="forbid")

    image_id: ImageId
    verdict: Verdict


@router.post("/search", responses=_PROBLEMS, response_model=Answer, openapi_extra=json_body(Query))
async def search(collection: CollectionPath, request: Request) -> Response:
    """Find the images that best fit the words, best first."""
    caller_of(request.scope).require("search", collection)
    state = state_of(request)
    reply = await state.service.reply(collection, await read_json(request, Query))
    state.metrics.searched(reply.frame.matches)
    return Response(reply.written(), media_type="application/json")


@router.post("/search/batch", responses=_PROBLEMS, response_model=BatchAnswers)
async def batch_search(
    collection: CollectionPath, batch: Batch, request: Request, caller: CallerDependency
) -> Response:
    """Answer several queries at once; one that fails does not disturb the others."""
    caller.require("search", collection)
    state = state_of(request)
    state.limits.charge(caller.key.key_id, len(batch.queries) - 1)  # the request itself has taken one
    service = state.service

    async def one(query: Query) -> bytes:
        try:
            return (await service.reply(collection, query)).written()
        except WordsightError as error:
            return told(error).model_dump_json().encode()

    answers = await asyncio.gather(*(one(query) for query in batch.queries))
    return Response(b'{"answers":[%b]}' % b",".join(answers), media_type="application/json")


@router.post("/search/explain", responses=_PROBLEMS)
async def explain_search(
    collection: CollectionPath, body: ExplainQuery, request: Request, caller: CallerDependency
) -> Explanation:
    """Where one image stands for a query, and why."""
    caller.require("search", collection)
    return await explain(state_of(request).service, collection, body.query, body.image_id, body.fields)


@router.get("/searches/{search_id}", responses=_PROBLEMS)
async def stored_search(
    collection: CollectionPath, search_id: UUID, request: Request, caller: CallerDependency
) -> Stored:
    """What a search answered."""
    caller.require("search", collection)
    await state_of(request).log.flush_for(search_id)
    async with state_of(request).catalog.reading() as session:
        found = await _stored(session, collection, search_id)
    return Stored(
        search_id=found.id,
        release=found.release,
        query=found.query_text,
        k=found.k,
        results=tuple(StoredResult(image_id=image_id, score=score) for image_id, score in found.results),
        created_at=found.created_at.isoformat(),
        expires_at=found.expires_at.isoformat(),
    )


@router.post("/searches/{search_id}/feedback", responses=_PROBLEMS, status_code=HTTPStatus.NO_CONTENT)
async def give_feedback(
    collection: CollectionPath, search_id: UUID, body: Feedback, request: Request, caller: CallerDependency
) -> None:
    """Say whether an image was what the searcher looked for; a later verdict replaces an earlier one."""
    caller.require("search", collection)
    await state_of(request).log.flush_for(search_id)
    async with audited(state_of(request), caller, "search.feedback", collection, str(search_id)) as session:
        found = await _stored(session, collection, search_id)
        await images.get(session, found.collection_id, body.image_id)
        await feedback.say(session, search_id, body.image_id, body.verdict)


async def _stored(session: ReadSession, collection: str, search_id: UUID) -> StoredSearch:
    row = await collections.get(session, collection)
    found = await searches.get(session, search_id)
    if found.collection_id != row.id:
        raise NotFound("search_unknown", f"there is no stored search {search_id} in this collection")
    return found
