"""The outermost layer: request ids, admission, a time limit, metrics and one log line a request; plain ASGI."""

import asyncio
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.admission import ALWAYS, BUSY, OTHER, Admission, Exchange
from app.metrics import Metrics
from app.problems import problem
from app.stages import Stage, kept
from app.tracing import Tracing

LIMIT_S = 30.0
BULK_LIMIT_S = 300.0
_LONG = ("/bulk", "/uploads")
_STREAMS = "/events"
"""Streams bound their own number and time."""


class Watch:
    """Lets requests in, and follows each to its end."""

    def __init__(self, app: ASGIApp, metrics: Metrics, admission: Admission, tracing: Tracing | None = None) -> None:
        self._app = app
        self._tracing = tracing
        self._metrics = metrics
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange.of(scope["headers"])

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", exchange.request_id.encode())]
            await send(message)

        if self._admission.is_full and scope["path"] not in ALWAYS:
            await _refuse(told)
            self._admission.refused(scope["method"], exchange)
            return
        if self._tracing is None:
            await self._admitted(scope, receive, told, exchange)
        else:
            await self._traced(self._tracing, scope, receive, told, exchange)
        self._admission.tell(scope["method"], route_of(scope), exchange)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        counted = not scope["path"].endswith(_STREAMS)
        self._admission.inside += counted
        self._metrics.in_flight.inc()
        try:
            async with asyncio.timeout(_limit_s(scope["path"])):
                await self._app(scope, receive, send)
        except TimeoutError:
            if not exchange.status:
                await _too_slow(scope, receive, send)
        finally:
            self._admission.inside -= counted
            self._metrics.in_flight.dec()

    async def _traced(self, tracing: Tracing, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        parent: str = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        stages: list[Stage] | None = [] if tracing.picks(parent) else None
        began = time.time_ns()
        token = kept.set(stages)
        try:
            await self._admitted(scope, receive, send, exchange)
        finally:
            kept.reset(token)
            if stages is not None or exchange.is_failure:
                facts = {"http.request.method": scope["method"], "http.route": route_of(scope)}
                facts |= {"http.response.status_code": exchange.status, "wordsight.request_id": exchange.request_id}
                name = f"{scope['method']} {route_of(scope)}"
                tracing.tell(name, began, time.time_ns(), facts, stages or [], parent)



def route_of(scope: Scope) -> str:
    """The template of a request's address: no name of a collection, an image or a key is in it."""
    return str(getattr(scope.get("route"), "path", OTHER))


def _limit_s(path: str) -> float | None:
    if path.endswith(_STREAMS):
        return None
    return BULK_LIMIT_S if path.endswith(_LONG) else LIMIT_S


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": BUSY.status_code, "headers": BUSY.raw_headers})
    await send({"type": "http.response.body", "body": BUSY.body})


async def _too_slow(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "request_timed_out",
        "the request took longer than this server allows",
        fix="try again, or ask for less at once",
        headers={"Retry-After": "5"},
    )
    await answer(scope, receive, send)
