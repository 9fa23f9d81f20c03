"""Every call of the REST interface as a value: what to send and how to read the answer. Nothing is sent here."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.client.models import (
    Answer,
    AuditEntry,
    BulkResult,
    Collection,
    Explanation,
    Image,
    Job,
    Key,
    Stored,
    Version,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
LINES_A_REQUEST = 1_000
_NO_SEGMENT = {"", ".", ".."}


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request; `read` makes its result from a good response."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: Any = None
    content: bytes | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some images; `following` is None on the last page."""

    images: list[Image]
    following: int | None


@dataclass(frozen=True, slots=True)
class Part(Generic[M]):
    """Some of a list; `following` leads to the next part, None on the last one."""

    items: list[M]
    following: int | None


def search(
    collection: str,
    query: str,
    k: int,
    filter_: Mapping[str, Any] | None,
    cursor: str | None,
    fields: Sequence[str] | None,
) -> Call[Answer]:
    body = {
        "query": query,
        "k": k,
        "filter": filter_,
        "cursor": cursor,
        "fields": None if fields is None else list(fields),
    }
    return Call("POST", _at(collection, "search"), _one(Answer), {n: v for n, v in body.items() if v is not None})


def search_batch(collection: str, queries: Sequence[Mapping[str, Any]]) -> Call[list[Answer]]:
    return Call("POST", _at(collection, "search", "batch"), _many(Answer, "answers"), {"queries": list(queries)})


def explain(collection: str, query: str, image_id: str, fields: Sequence[str] | None) -> Call[Explanation]:
    body = {"query": query, "image_id": image_id, **({"fields": list(fields)} if fields is not None else {})}
    return Call("POST", _at(collection, "search", "explain"), _one(Explanation), body)


def stored_search(collection: str, search_id: object) -> Call[Stored]:
    return Call("GET", _at(collection, "searches", search_id), _one(Stored))


def give_feedback(collection: str, search_id: object, image_id: str, verdict: str) -> Call[None]:
    body = {"image_id": image_id, "verdict": verdict}
    return _write("POST", _at(collection, "searches", search_id, "feedback"), _nothing, body)


def collections() -> Call[list[Collection]]:
    return Call("GET", "/v1/collections", _many(Collection, "collections"))


def collection(name: str) -> Call[Collection]:
    return Call("GET", _at(name), _one(Collection))


def create_collection(name: str, settings: Mapping[str, Any]) -> Call[Collection]:
    return _write("POST", "/v1/collections", _one(Collection), {"name": name, **settings})


def change_collection(name: str, settings: Mapping[str, Any]) -> Call[Collection]:
    return _write("PATCH", _at(name), _one(Collection), dict(settings))


def delete_collection(name: str) -> Call[None]:
    return _write("DELETE", _at(name), _nothing)


def image_page(collection: str, after: int, limit: int) -> Call[Page]:
    def read(response: httpx.Response) -> Page:
        body = response.json()
        return Page([Image.model_validate(one) for one in body["images"]], body["next"])

    return Call("GET", _at(collection, "images"), read, params={"after": after, "limit": limit})


def image(collection: str, image_id: str) -> Call[Image]:
    return Call("GET", _image(collection, image_id), _one(Image))


def put_image(collection: str, image_id: str, description: Mapping[str, Any], more: Mapping[str, Any]) -> Call[Image]:
    body = {"description": dict(description), **more}
    return _write("PUT", _image(collection, image_id), _one(Image), body)


def patch_metadata(collection: str, image_id: str, metadata: Mapping[str, Any]) -> Call[Image]:
    return _write("PATCH", _image(collection, image_id), _one(Image), {"metadata": dict(metadata)})


def delete_image(collection: str, image_id: str) -> Call[None]:
    return _write("DELETE", _image(collection, image_id), _nothing)


def history(collection: str, image_id: str) -> Call[list[Version]]:
    return Call("GET", _image(collection, image_id, "history"), _many(Version, "versions"))


def edit(collection: str, image_id: str, description: Mapping[str, Any], description_id: int) -> Call[Image]:
    path, match = _image(collection, image_id, "description"), {"If-Match": f'"{description_id}"'}
    return _write("PUT", path, _one(Image), dict(description), match)


def undo(collection: str, image_id: str, description_id: int) -> Call[Image]:
    path, match = _image(collection, image_id, "description", "undo"), {"If-Match": f'"{description_id}"'}
    return _write("POST", path, _one(Image), headers=match)


def bulk(collection: str, lines: Sequence[Mapping[str, Any]]) -> Call[BulkResult]:
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    kind = {"Content-Type": "application/x-ndjson"}
    return Call("POST", _at(collection, "bulk"), _one(BulkResult), content=content, headers=kind)


def parts(lines: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Lines in parts of a request's size."""
    rest = iter(lines)
    while part := list(islice(rest, LINES_A_REQUEST)):
        yield part


def start_job(kind: str, collection: str, source: str | None) -> Call[Job]:
    order = {"kind": kind, "collection": collection, **({"source": source} if source is not None else {})}
    return _write("POST", "/v1/jobs", _one(Job), order)


def job(job_id: object) -> Call[Job]:
    return Call("GET", _path("jobs", job_id), _one(Job))


def cancel_job(job_id: object) -> Call[Job]:
    return _write("POST", _path("jobs", job_id, "cancel"), _one(Job))


def job_page(collection: str | None, state: str | None, before: int | None, limit: int) -> Call[Part[Job]]:
    given = {"collection": collection, "state": state, "before": before, "limit": limit}
    return Call("GET", "/v1/jobs", _part(Job, "jobs"), params={n: v for n, v in given.items() if v is not None})


def upload(collection: str, image: bytes, uri: str | None) -> Call[Job]:
    kind, given = {"Content-Type": "application/octet-stream"}, {"uri": uri} if uri is not None else {}
    return Call("POST", _at(collection, "uploads"), _one(Job), content=image, params=given, headers=kind)


def events_path(job_id: object) -> str:
    """Where a job is followed."""
    return _path("jobs", job_id, "events")


def event(line: str) -> Job | None:
    """The job that a line of an event stream holds, if it holds one."""
    return Job.model_validate_json(line.removeprefix("data: ")) if line.startswith("data: ") else None


def audit_page(collection: str | None, key_id: str | None, after: int, limit: int) -> Call[Part[AuditEntry]]:
    given = {"collection": collection, "key_id": key_id, "after": after, "limit": limit}
    sent = {name: value for name, value in given.items() if value is not None}
    return Call("GET", "/v1/audit", _part(AuditEntry, "entries"), params=sent)


def keys() -> Call[list[Key]]:
    return Call("GET", "/v1/keys", _many(Key, "keys"))


def create_key(collection: str, scope: str, name: str, expires_in_days: int | None) -> Call[Key]:
    body = {"collection": collection, "scope": scope, "name": name, "expires_in_days": expires_in_days}
    return Call("POST", "/v1/keys", _one(Key), body)


def rotate_key(key_id: str) -> Call[Key]:
    return Call("POST", _path("keys", key_id, "rotate"), _one(Key))


def revoke_key(key_id: str) -> Call[None]:
    return _write("DELETE", _path("keys", key_id), _nothing)


def _image(collection: str, image_id: str, *more: str) -> str:
    return _at(collection, "images", image_id, *more)


def _at(collection: str, *more: object) -> str:
    return _path("collections", collection, *more)


def _path(*segments: object) -> str:
    """An address below /v1 where each name is one segment. Raises `ValueError` for a name that can't be one."""
    return "/v1/" + "/".join([_segment(str(one)) for one in segments])


def _segment(name: str) -> str:
    """A name, percent-encoded.

    HTTP libraries drop empty and dot segments, encoded or not, and so send the request to another address.
    """
    if name in _NO_SEGMENT:
        raise ValueError(f"{name!r} names nothing: an id may not be empty, '.' or '..'")
    return quote(name, safe="")


def _write(
    method: str,
    path: str,
    read: Callable[[httpx.Response], T],
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Call[T]:
    """A write carries a key of its own, so that sending it again can't do it twice."""
    once = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})}
    return Call(method, path, read, body, headers=once)


def _one(kind: type[M]) -> Callable[[httpx.Response], M]:
    return lambda response: kind.model_validate_json(response.content)


def _many(kind: type[M], name: str) -> Callable[[httpx.Response], list[M]]:
    return lambda response: [kind.model_validate(one) for one in response.json()[name]]


def _part(kind: type[M], name: str) -> Callable[[httpx.Response], Part[M]]:
    def read(response: httpx.Response) -> Part[M]:
        body = response.json()
        return Part([kind.model_validate(one) for one in body[name]], body["next"])

    return read


def _nothing(_response: httpx.Response) -> None:
    return None
