"""The client for ordinary code."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class Wordsight:
    """A server at an address, with a key. Every method raises `Refusal` and `Unreachable`.

    Answers 429 and 503, what says when to come back, and lost connections are tried again; writes carry an
    Idempotency-Key, so no try does twice. A name or an id that no address can hold ('', '.', '..') raises `ValueError`
    and nothing is sent.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 30.0, retries: Retries = Retries()) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def search(
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
        return self._send(calls.search(collection, query, k, filter, cursor, fields))

    def search_all(
        self,
        collection: str,
        query: str,
        *,
        page_size: int = 50,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - named as in the interface
        fields: Sequence[str] | None = None,
    ) -> Iterator[Match]:
        """The best images one after the other, 10,000 at most, fetched page by page while they are used."""
        cursor: str | None = None
        while True:
            answer = self._send(calls.search(collection, query, page_size, filter, cursor, fields))
            yield from answer.results
            cursor = answer.next_cursor
            if cursor is None:
                return

    def search_batch(self, collection: str, queries: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Several queries at once, each `{"query": …, "k": …}`; an answer with a `code` is a problem."""
        return self._send(calls.search_batch(collection, queries))

    def explain(
        self, collection: str, query: str, image_id: str, *, fields: Sequence[str] | None = None
    ) -> Explanation:
        """Where one image stands for a query, and why."""
        return self._send(calls.explain(collection, query, image_id, fields))

    def stored_search(self, collection: str, search_id: object) -> Stored:
        """What a search answered."""
        return self._send(calls.stored_search(collection, search_id))

    def give_feedback(self, collection: str, search_id: object, image_id: str, verdict: Verdict) -> None:
        """Say whether an image was what was looked for."""
        self._send(calls.give_feedback(collection, search_id, image_id, verdict))

    def collections(self) -> list[Collection]:
        """The collections that the key may search."""
        return self._send(calls.collections())

    def collection(self, name: str) -> Collection:
        """One collection."""
        return self._send(calls.collection(name))

    def create_collection(self, name: str, **settings: Any) -> Collection:
        """Make an empty collection."""
        return self._send(calls.create_collection(name, settings))

    def change_collection(self, name: str, **settings: Any) -> Collection:
        """Change settings of a collection."""
        return self._send(calls.change_collection(name, settings))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with everything in it."""
        self._send(calls.delete_collection(name))

    def image(self, collection: str, image_id: str) -> Image:
        """One image's description."""
        return self._send(calls.image(collection, image_id))

    def put_image(self, collection: str, image_id: str, description: Mapping[str, Any], **more: Any) -> Image:
        """Store a description; `more` is external_id, uri and metadata."""
        return self._send(calls.put_image(collection, image_id, description, more))

    def patch_metadata(self, collection: str, image_id: str, metadata: Mapping[str, Any]) -> Image:
        """Change metadata; a None removes its key."""
        return self._send(calls.patch_metadata(collection, image_id, metadata))

    def delete_image(self, collection: str, image_id: str) -> None:
        """Remove an image."""
        self._send(calls.delete_image(collection, image_id))

    def history(self, collection: str, image_id: str) -> list[Version]:
        """Every description that an image has had, the newest first."""
        return self._send(calls.history(collection, image_id))

    def edit(self, collection: str, image_id: str, description: Mapping[str, Any], *, description_id: int) -> Image:
        """A person's description in place of the one that was read (`Image.description_id`)."""
        return self._send(calls.edit(collection, image_id, description, description_id))

    def undo(self, collection: str, image_id: str, *, description_id: int) -> Image:
        """Go back to the description before."""
        return self._send(calls.undo(collection, image_id, description_id))

    def keys(self) -> list[Key]:
        """The keys that this key may manage."""
        return self._send(calls.keys())

    def create_key(self, collection: str, scope: Scope, *, name: str = "", expires_in_days: int | None = None) -> Key:
        """Make a key; it is shown only now."""
        return self._send(calls.create_key(collection, scope, name, expires_in_days))

    def rotate_key(self, key_id: str) -> Key:
        """A new key for an old one, which goes on for a day."""
        return self._send(calls.rotate_key(key_id))

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        self._send(calls.revoke_key(key_id))

    def images(self, collection: str, *, page_size: int = 500) -> Iterator[Image]:
        """All images of a collection, fetched page by page while they are used."""
        after: int | None = 0
        while after is not None:
            page = self._send(calls.image_page(collection, after, page_size))
            yield from page.images
            after = page.following

    def bulk(self, collection: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[BulkResult]:
        """Send any number of lines (`{"id", "text"}` or `{"id", "description"}`), a thousand a request."""
        for part in calls.parts(lines):
            yield self._send(calls.bulk(collection, part))

    def start_job(self, kind: JobKind, collection: str, source: str | None = None) -> Job:
        """Start a job: 'ingest' and 'publish' read a source below what the operator allowed, 'index' reads none."""
        return self._send(calls.start_job(kind, collection, source))

    def upload(self, collection: str, image: bytes, *, uri: str | None = None) -> Job:
        """Send one image to be described; nothing of its bytes is kept."""
        return self._send(calls.upload(collection, image, uri))

    def job(self, job_id: object) -> Job:
        """One job."""
        return self._send(calls.job(job_id))

    def jobs(self, collection: str | None = None, *, state: str | None = None, page_size: int = 100) -> Iterator[Job]:
        """Jobs, the newest first, fetched page by page while they are used."""
        before: int | None = None
        while True:
            part = self._send(calls.job_page(collection, state, before, page_size))
            yield from part.items
            before = part.following
            if before is None:
                return

    def cancel_job(self, job_id: object) -> Job:
        """Ask a job to stop."""
        return self._send(calls.cancel_job(job_id))

    def follow_job(self, job_id: object) -> Iterator[Job]:
        """The job now and whenever it changed, until it is over."""
        attempt, lost = 0, None
        while True:
            try:
                for job in self._stream(calls.events_path(job_id)):
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
            time.sleep(wait)

    def audit(
        self, collection: str | None = None, *, key_id: str | None = None, page_size: int = 500
    ) -> Iterator[AuditEntry]:
        """Who wrote what, the oldest first, fetched page by page while it is used."""
        after: int | None = 0
        while after is not None:
            part = self._send(calls.audit_page(collection, key_id, after, page_size))
            yield from part.items
            after = part.following

    def _stream(self, path: str) -> Iterator[Job]:
        with self._http.stream("GET", path) as response:
            if not response.is_success:
                response.read()
            for line in checked(response).iter_lines():
                job = calls.event(line)
                if job is not None:
                    yield job

    def _send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            response, lost = self._try(call)
            wait = self._retries.wait_s(attempt, response)
            if wait is None and response is None:
                raise Unreachable(f"{self._http.base_url} does not answer") from lost
            if wait is None and response is not None:
                return call.read(checked(response))
            time.sleep(wait or 0.0)

    def _try(self, call: Call[T]) -> tuple[httpx.Response | None, httpx.TransportError | None]:
        try:
            response = self._http.request(
                call.method, call.path, json=call.body, content=call.content, params=call.params, headers=call.headers
            )
        except httpx.TransportError as error:
            return None, error
        return response, None
