"""The outermost layer: request ids, admission, a time limit, metrics and one log line a request; plain ASGI.

Requests over the bound are refused before any work, so that those that were let in stay quick.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.middleware.admission import STREAMS, Admission, is_counted
from app.http.middleware.authentication import OPEN
from app.http.problems import problem
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.request_log import Line, RequestLog, is_failure
from app.http.telemetry.spans import Stage, kept
from app.http.telemetry.tracing import Tracing
from scenes.errors import trace_of
from scenes.identity import random_id

LIMIT_S = 30.0
BULK_LIMIT_S = 300.0
_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
_LONG = ("/bulk", "/uploads")
_OTHER = "other"
_GONE = HTTPStatus.BAD_REQUEST
"""What is counted where the client went away before its request ended, as `app.http.problems` answers it."""


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    request_id: str
    started: float
    status: int = 0
    fault: str | None = None


class Watch:
    """Lets requests in as long as `admission` has room."""

    def __init__(self, app: ASGIApp, metrics: Metrics, admission: Admission, tracing: Tracing | None = None) -> None:
        self._app = app
        self._tracing = tracing
        self._metrics = metrics
        self._admission = admission
        self._log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._until_closed(scope, receive, send)
            return
        exchange = Exchange(_request_id(scope), time.perf_counter())

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", exchange.request_id.encode())]
            await send(message)

        if self._admission.is_full and scope["path"] not in OPEN:
            self._metrics.was_busy()
            await _answer(told, _BUSY)
        elif self._tracing is None:
            await self._admitted(scope, receive, told, exchange)
        else:
            await self._traced(self._tracing, scope, receive, told, exchange)
        exchange.status = exchange.status or _GONE
        self._tell(scope, exchange)

    async def _until_closed(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self._log.write()

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        counted = is_counted(scope["path"])
        if counted:
            self._admission.begin()
        self._metrics.in_flight.inc()
        try:
            async with asyncio.timeout(_limit_s(scope["path"])):
                await self._app(scope, receive, self._aside(send) if counted else send)
        except TimeoutError:
            if not exchange.status:
                await _answer(send, _TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - it is told, with its request's id, in the log
            exchange.fault = trace_of(error)
            await _failed(send, exchange)
        finally:
            if counted:
                self._admission.pause()
            self._metrics.in_flight.dec()

    def _aside(self, send: Send) -> Send:
        """Sending that takes no place: it waits for the client, who may be slow to read."""

        async def aside(message: Message) -> None:
            self._admission.pause()
            try:
                await send(message)
            finally:
                self._admission.begin()

        return aside

    async def _traced(self, tracing: Tracing, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        parent = _header(scope, b"traceparent").decode("latin-1")
        stages: list[Stage] | None = [] if tracing.picks(parent) else None
        began = time.time_ns()
        token = kept.set(stages)
        try:
            await self._admitted(scope, receive, send, exchange)
        finally:
            kept.reset(token)
            if stages is not None or is_failure(exchange.status):
                method, route = scope["method"], route_of(scope)
                facts = {"http.request.method": method, "http.route": route}
                facts |= {"http.response.status_code": exchange.status, "wordsight.request_id": exchange.request_id}
                tracing.tell(f"{method} {route}", began, time.time_ns(), facts, stages or [], parent)

    def _tell(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        route = route_of(scope)
        self._metrics.answered(route, exchange.status, seconds)
        self._log.tell(
            Line(time.time(), exchange.request_id, scope["method"], route, exchange.status, seconds, exchange.fault)
        )


def route_of(scope: Scope) -> str:
    """The template of a request's address: no name of a collection, an image or a key is in it."""
    return str(getattr(scope.get("route"), "path", _OTHER))


def _limit_s(path: str) -> float | None:
    if path.endswith(STREAMS):
        return None
    return BULK_LIMIT_S if path.endswith(_LONG) else LIMIT_S


def _header(scope: Scope, name: bytes) -> bytes:
    """What a header says, nothing where there is none."""
    said: bytes = dict(scope["headers"]).get(name, b"")
    return said


def _request_id(scope: Scope) -> str:
    given = _header(scope, b"x-request-id")
    return given.decode() if _ID.match(given) else random_id().hex


_BUSY = problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "server_busy",
    "this server answers as many requests as it can already",
    fix="try again after Retry-After seconds",
    headers={"Retry-After": "1"},
)
"""Written once: refusing must cost next to nothing, or a flood of it is work enough."""


_TOO_SLOW = problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "request_timed_out",
    "the request took longer than this server allows",
    fix="try again, or ask for less at once",
    headers={"Retry-After": "5"},
)
_FAULT = problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "the server failed to answer; its log says more",
    fix="tell the operator the X-Request-Id of this answer",
)


async def _failed(send: Send, exchange: Exchange) -> None:
    """An answer that broke off is cut by the server below, as it was not completed, and counts as failed."""
    if exchange.status:
        exchange.status = HTTPStatus.INTERNAL_SERVER_ERROR
    else:
        await _answer(send, _FAULT)


async def _answer(send: Send, answer: JSONResponse) -> None:
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body})
