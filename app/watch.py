"""The outermost layer: request ids, admission, a time limit, metrics and one log line a request; plain ASGI.

Requests over the bound are refused before any work, so that those that were let in stay quick. The log holds method,
route, status and time: never a query, a key or an address with a name in it.
"""

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.fresh_ids import fresh_id
from app.metrics import Metrics
from app.problems import problem
from app.stages import Stage, kept
from app.tracing import Tracing

LIMIT_S = 30.0
BULK_LIMIT_S = 300.0
_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
_ALWAYS = ("/healthz", "/readyz", "/metrics")
_LONG = ("/bulk", "/uploads")
_STREAMS = "/events"
"""Streams bound their own number and time."""
_OTHER = "other"
REQUESTS = "wordsight.requests"
"""The logger of one JSON line a request."""
_log = logging.getLogger(REQUESTS)


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    request_id: str
    started: float
    status: int = 0


class Watch:
    """Lets at most `most` requests in at once."""

    def __init__(self, app: ASGIApp, metrics: Metrics, most: int, tracing: Tracing | None = None) -> None:
        self._app = app
        self._tracing = tracing
        self._metrics = metrics
        self._most = most
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(_request_id(scope), time.perf_counter())

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", exchange.request_id.encode())]
            await send(message)

        if self._inside >= self._most and scope["path"] not in _ALWAYS:
            self._metrics.was_busy()
            await _refuse(told)
        elif self._tracing is None:
            await self._admitted(scope, receive, told, exchange)
        else:
            await self._traced(self._tracing, scope, receive, told, exchange)
        self._tell(scope, exchange)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        counted = not scope["path"].endswith(_STREAMS)
        self._inside += counted
        self._metrics.in_flight.inc()
        try:
            async with asyncio.timeout(_limit_s(scope["path"])):
                await self._app(scope, receive, send)
        except TimeoutError:
            if not exchange.status:
                await _too_slow(scope, receive, send)
        finally:
            self._inside -= counted
            self._metrics.in_flight.dec()

    async def _traced(self, tracing: Tracing, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        parent = _header(scope, b"traceparent").decode("latin-1")
        stages: list[Stage] | None = [] if tracing.picks(parent) else None
        began = time.time_ns()
        token = kept.set(stages)
        try:
            await self._admitted(scope, receive, send, exchange)
        finally:
            kept.reset(token)
            if stages is not None or _is_failure(exchange):
                method, route = scope["method"], route_of(scope)
                facts = {"http.request.method": method, "http.route": route}
                facts |= {"http.response.status_code": exchange.status, "wordsight.request_id": exchange.request_id}
                tracing.tell(f"{method} {route}", began, time.time_ns(), facts, stages or [], parent)

    def _tell(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        route = route_of(scope)
        self._metrics.answered(route, exchange.status, seconds)
        level = logging.ERROR if _is_failure(exchange) else logging.INFO
        if _log.isEnabledFor(level):
            facts = {"request_id": exchange.request_id, "method": scope["method"], "route": route}
            _log.log(level, json.dumps(facts | {"status": exchange.status, "ms": round(seconds * 1_000, 2)}))


def _is_failure(exchange: Exchange) -> bool:
    return exchange.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def route_of(scope: Scope) -> str:
    """The template of a request's address: no name of a collection, an image or a key is in it."""
    return str(getattr(scope.get("route"), "path", _OTHER))


def _limit_s(path: str) -> float | None:
    if path.endswith(_STREAMS):
        return None
    return BULK_LIMIT_S if path.endswith(_LONG) else LIMIT_S


def _header(scope: Scope, name: bytes) -> bytes:
    """What a header says, nothing where there is none."""
    said: bytes = dict(scope["headers"]).get(name, b"")
    return said


def _request_id(scope: Scope) -> str:
    given = _header(scope, b"x-request-id")
    return given.decode() if _ID.match(given) else fresh_id().hex


_BUSY = problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "server_busy",
    "this server answers as many requests as it can already",
    fix="try again after Retry-After seconds",
    headers={"Retry-After": "1"},
)
"""Written once: refusing must cost next to nothing, or a flood of it is work enough."""


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": _BUSY.status_code, "headers": _BUSY.raw_headers})
    await send({"type": "http.response.body", "body": _BUSY.body})


async def _too_slow(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "request_timed_out",
        "the request took longer than this server allows",
        fix="try again, or ask for less at once",
        headers={"Retry-After": "5"},
    )
    await answer(scope, receive, send)
