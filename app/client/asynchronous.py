"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar

import httpx

from app.client import calls
from app.client.calls import Call
from app.client.models import (
    Answer,
    AuditEntry,
    BulkResult,
    Collection,
    Explanation,
    Image,
    Job,
    Key,
    Match,
    Stored,
    Version,
)
from app.client.retrying import Retries, Unreachable, checked

T = TypeVar("T")
Verdict = Literal["relevant", "irrelevant"]
Scope = Literal["search", "ingest", "admin"]
JobKind = Literal["ingest", "publish", "index"]


class AsyncWordsight:
    """A server at an address, with a key. Every method raises `Refusal` and `Unreachable`.

    Answers 429 and 503, what says when to come back, and lost connections are tried again; writes carry an
    Idempotency-Key, so no try does twice. A name or an id that no address can hold ('', '.', '..') raises `ValueError`
    and nothing is sent.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 30.0, retries: Retries = Retries()) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_s)
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def search(
        self,
        collection: str,
        query: str,
        *,
        k: int = 10,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - named as in the interface
        cursor: str | None = None,
        fields: Sequence[str] | None = None,
    ) -> Answer:
        """The images that best fit the words, best first; by these fields of their descriptions alone, if any."""
        return await self._send(calls.search(collection, query, k, filter, cursor, fields))

    async def search_all(
        self,
        collection: str,
        query: str,
        *,
        page_size: int = 50,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - named as in the interface
        fields: Sequence[str] | None = None,
    ) -> AsyncIterator[Match]:
        """The best images one after the other, 10,000 at most, fetched page by page while they are used."""
        cursor: str | None = None
        while True:
            answer = await self._send(calls.search(collection, query, page_size, filter, cursor, fields))
            for one in answer.results:
                yield one
            cursor = answer.next_cursor
            if cursor is None:
                return

    async def search_batch(self, collection: str, queries: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Several queries at once, each `{"query": …, "k": …}`; an answer with a `code` is a problem."""
        return await self._send(calls.search_batch(collection, queries))

    async def explain(
        self, collection: str, query: str, image_id: str, *, fields: Sequence[str] | None = None
    ) -> Explanation:
        """Where one image stands for a query, and why."""
        return await self._send(calls.explain(collection, query, image_id, fields))

    async def stored_search(self, collection: str, search_id: object) -> Stored:
        """What a search answered."""
        return await self._send(calls.stored_search(collection, search_id))

    async def give_feedback(self, collection: str, search_id: object, image_id: str, verdict: Verdict) -> None:
        """Say whether an image was what was looked for."""
        await self._send(calls.give_feedback(collection, search_id, image_id, verdict))

    async def collections(self) -> list[Collection]:
        """The collections that the key may search."""
        return await self._send(calls.collections())

    async def collection(self, name: str) -> Collection:
        """One collection."""
        return await self._send(calls.collection(name))

    async def create_collection(self, name: str, **settings: Any) -> Collection:
        """Make an empty collection."""
        return await self._send(calls.create_collection(name, settings))

    async def change_collection(self, name: str, **settings: Any) -> Collection:
        """Change settings of a collection."""
        return await self._send(calls.change_collection(name, settings))

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with everything in it."""
        await self._send(calls.delete_collection(name))

    async def image(self, collection: str, image_id: str) -> Image:
        """One image's description."""
        return await self._send(calls.image(collection, image_id))

    async def put_image(self, collection: str, image_id: str, description: Mapping[str, Any], **more: Any) -> Image:
        """Store a description; `more` is external_id, uri and metadata."""
        return await self._send(calls.put_image(collection, image_id, description, more))

    async def patch_metadata(self, collection: str, image_id: str, metadata: Mapping[str, Any]) -> Image:
        """Change metadata; a None removes its key."""
        return await self._send(calls.patch_metadata(collection, image_id, metadata))

    async def delete_image(self, collection: str, image_id: str) -> None:
        """Remove an image."""
        await self._send(calls.delete_image(collection, image_id))

    async def history(self, collection: str, image_id: str) -> list[Version]:
        """Every description that an image has had, the newest first."""
        return await self._send(calls.history(collection, image_id))

    async def edit(
        self, collection: str, image_id: str, description: Mapping[str, Any], *, description_id: int
    ) -> Image:
        """A person's description in place of the one that was read (`Image.description_id`)."""
        return await self._send(calls.edit(collection, image_id, description, description_id))

    async def undo(self, collection: str, image_id: str, *, description_id: int) -> Image:
        """Go back to the description before."""
        return await self._send(calls.undo(collection, image_id, description_id))

    async def keys(self) -> list[Key]:
        """The keys that this key may manage."""
        return await self._send(calls.keys())

    async def create_key(
        self, collection: str, scope: Scope, *, name: str = "", expires_in_days: int | None = None
    ) -> Key:
        """Make a key; it is shown only now."""
        return await self._send(calls.create_key(collection, scope, name, expires_in_days))

    async def rotate_key(self, key_id: str) -> Key:
        """A new key for an old one, which goes on for a day."""
        return await self._send(calls.rotate_key(key_id))

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        await self._send(calls.revoke_key(key_id))

    async def images(self, collection: str, *, page_size: int = 500) -> AsyncIterator[Image]:
        """All images of a collection, fetched page by page while they are used."""
        after: int | None = 0
        while after is not None:
            page = await self._send(calls.image_page(collection, after, page_size))
            for one in page.images:
                yield one
            after = page.following

    async def bulk(self, collection: str, lines: Iterable[Mapping[str, Any]]) -> AsyncIterator[BulkResult]:
        """Send any number of lines (`{"id", "text"}` or `{"id", "description"}`), a thousand a request."""
        for part in calls.parts(lines):
            yield await self._send(calls.bulk(collection, part))

    async def start_job(self, kind: JobKind, collection: str, source: str | None = None) -> Job:
        """Start a job: 'ingest' and 'publish' read a source below what the operator allowed, 'index' reads none."""
        return await self._send(calls.start_job(kind, collection, source))

    async def upload(self, collection: str, image: bytes, *, uri: str | None = None) -> Job:
        """Send one image to be described; nothing of its bytes is kept."""
        return await self._send(calls.upload(collection, image, uri))

    async def job(self, job_id: object) -> Job:
        """One job."""
        return await self._send(calls.job(job_id))

    async def jobs(
        self, collection: str | None = None, *, state: str | None = None, page_size: int = 100
    ) -> AsyncIterator[Job]:
        """Jobs, the newest first, fetched page by page while they are used."""
        before: int | None = None
        while True:
            part = await self._send(calls.job_page(collection, state, before, page_size))
            for one in part.items:
                yield one
            before = part.following
            if before is None:
                return

    async def cancel_job(self, job_id: object) -> Job:
        """Ask a job to stop."""
        return await self._send(calls.cancel_job(job_id))

    async def follow_job(self, job_id: object) -> AsyncIterator[Job]:
        """The job now and whenever it changed, until it is over."""
        attempt, lost = 0, None
        while True:
            try:
                async for job in self._stream(calls.events_path(job_id)):
                    attempt = 0
                    yield job
                    if job.is_over:
                        return
            except httpx.TransportError as error:
                lost = error
            attempt += 1
            wait = self._retries.wait_s(attempt, None)
            if wait is None:
                raise Unreachable(f"{self._http.base_url} does not answer") from lost
            await asyncio.sleep(wait)

    async def audit(
        self, collection: str | None = None, *, key_id: str | None = None, page_size: int = 500
    ) -> AsyncIterator[AuditEntry]:
        """Who wrote what, the oldest first, fetched page by page while it is used."""
        after: int | None = 0
        while after is not None:
            part = await self._send(calls.audit_page(collection, key_id, after, page_size))
            for one in part.items:
                yield one
            after = part.following

    async def _stream(self, path: str) -> AsyncIterator[Job]:
        async with self._http.stream("GET", path) as response:
            if not response.is_success:
                await response.aread()
            async for line in checked(response).aiter_lines():
                job = calls.event(line)
                if job is not None:
                    yield job

    async def _send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            response, lost = await self._try(call)
            wait = self._retries.wait_s(attempt, response)
            if wait is None and response is None:
                raise Unreachable(f"{self._http.base_url} does not answer") from lost
            if wait is None and response is not None:
                return call.read(checked(response))
            await asyncio.sleep(wait or 0.0)

    async def _try(self, call: Call[T]) -> tuple[httpx.Response | None, httpx.TransportError | None]:
        try:
            response = await self._http.request(
                call.method, call.path, json=call.body, content=call.content, params=call.params, headers=call.headers
            )
        except httpx.TransportError as error:
            return None, error
        return response, None
