"""Errors over HTTP: application/problem+json (RFC 9457) with a stable `code` and, where known, the `fix`."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from scenes.errors import (
    BadInput,
    Conflict,
    Corrupt,
    EnvironmentMissing,
    Forbidden,
    NotFound,
    Outdated,
    Overloaded,
    Unauthenticated,
    WordsightError,
)

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[WordsightError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Outdated, HTTPStatus.PRECONDITION_FAILED),
    (Conflict, HTTPStatus.CONFLICT),
    (BadInput, HTTPStatus.BAD_REQUEST),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (EnvironmentMissing, HTTPStatus.SERVICE_UNAVAILABLE),
    (Overloaded, HTTPStatus.TOO_MANY_REQUESTS),
    (Corrupt, HTTPStatus.SERVICE_UNAVAILABLE),
)
_USUAL = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class Problem(BaseModel):
    """What went wrong; `code` is stable, `detail` is for people."""

    type: str = Field("about:blank")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["collection_unknown"])
    detail: str = Field(examples=["there is no collection 'holiday'"])
    fix: str | None = Field(None, examples=["wordsight collection list shows all"])


def install(app: FastAPI) -> None:
    """Answer every error as a problem, but one nobody foresaw: that is `Watch`'s."""
    app.add_exception_handler(WordsightError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_gone)


def usual_responses(*others: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the problems that every endpoint with a key has, and of others."""
    return responses(*sorted({*_USUAL, *others}))


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an endpoint's problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def problem(
    status: HTTPStatus, code: str, detail: str, *, fix: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    body = Problem(title=status.phrase, status=status, code=code, detail=detail, fix=fix)
    return _response(body, headers or {})


def raw_problem(
    status: HTTPStatus, code: str, detail: str, *, fix: str | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """A problem as the bytes of an HTTP/1.1 answer, after which the connection is closed."""
    answer = problem(status, code, detail, fix=fix, headers={"X-Content-Type-Options": "nosniff", **(headers or {})})
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
    lines += [b"%b: %b" % header for header in answer.raw_headers]
    return b"\r\n".join([*lines, b"", b""]) + bytes(answer.body)


def told(error: WordsightError) -> Problem:
    """An error of ours as a problem."""
    status = status_of(error)
    return Problem(title=status.phrase, status=status, code=error.code, detail=error.message, fix=error.fix)


def status_of(error: WordsightError) -> HTTPStatus:
    """The HTTP status of an error's class."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def answered(error: WordsightError) -> JSONResponse:
    """An error of ours as a response."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(told(error), headers)


def _response(body: Problem, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(body.model_dump(mode="json"), body.status, headers=dict(headers), media_type=MEDIA_TYPE)


async def _on_ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WordsightError)  # noqa: S101 - registered for this class
    return answered(error)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    detail = f"{where}: {first['msg']}" if where else str(first["msg"])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", detail, fix="see /docs for what is accepted")


async def _on_gone(_request: Request, _error: Exception) -> JSONResponse:
    """Nobody hears this; the log and the metrics tell it from a fault of ours."""
    return problem(HTTPStatus.BAD_REQUEST, "client_gone", "the client went away before its request ended")


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request.app, await document_of(request.app), request.scope["path"]))
    return problem(status, status.name.lower(), str(error.detail), headers=headers)


async def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document. It takes a while to make, so the first time a thread makes it."""
    made: dict[str, Any] | None = app.openapi_schema
    return await asyncio.to_thread(app.openapi) if made is None else made


def _methods(app: FastAPI, document: Mapping[str, Any], path: str) -> list[str]:
    """The methods that a path has, over all of its endpoints."""
    mine = [(one, method) for one, method in _endpoints(app, document) if _is_at(one, path)]
    exact = [one for one in mine if one[0] == path] or mine
    return sorted({method for _, method in exact})


def _endpoints(app: FastAPI, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The paths of the interface and of the pages, with their methods."""
    for path, methods in document["paths"].items():
        yield from ((path, method.upper()) for method in methods)
    for route in app.routes:
        if isinstance(route, Route):
            yield from ((route.path, method) for method in route.methods or ())


def _is_at(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template)), path) is not None
