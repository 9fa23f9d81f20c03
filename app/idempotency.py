"""Idempotency-Key: a write that is sent again gets the answer that it got before; plain ASGI.

The answer of a write that succeeded is kept for a day under the caller and the key, committed with the write itself:
however a server ends, the write was done and its answer is kept, or neither. The same key with another request is
refused, and so is one whose first request still runs. A write that failed is forgotten and may be sent again.
Searches write nothing, a fresh API key is never kept, and an image or a line that is sent again is the same image: the
header changes nothing for these.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.bodies import again, whole
from app.limits import Turns
from app.problems import answered, problem
from app.state import State
from app.turn import taking
from scenes.catalog import idempotency
from scenes.catalog.idempotency import Kept
from scenes.errors import WordsightError

_HEADER = b"idempotency-key"
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_NEVER_KEPT = ("/search", "/search/batch", "/search/explain", "/v1/keys", "/rotate", "/uploads", "/bulk")
_LONGEST = 200
_GOOD = range(200, 300)
_AT_ONCE = 3
"""Each holds a connection to Postgres while it may need a second one; the pool must have some left for searches. One
key may have all of them but one."""


class _Undone(Exception):
    """The write failed: nothing of it stays."""


@dataclass(slots=True)
class Recorder:
    """Holds an answer back until what it says is committed."""

    messages: list[Message] = field(default_factory=list)
    status: int = 500
    media_type: str = "application/json"
    body: bytearray = field(default_factory=bytearray)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = dict(message.get("headers", []))
            self.media_type = headers.get(b"content-type", b"application/json").decode("latin-1")
        self.body += message.get("body", b"")
        self.messages.append(message)

    async def replay(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Give the answer at last."""
        for message in self.messages:
            await send(message)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A write as it came in: by whom, under which key."""

    who: bytes
    key: str
    body: bytes
    request_sha256: bytes


class Idempotency:
    """Answers a repeated write from what was kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._of_key = Turns(_AT_ONCE - 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        key = headers.get(_HEADER, b"").decode("latin-1")
        caller = headers.get(b"authorization", b"").decode("latin-1")
        if not key or not caller or not _is_kept(scope):
            await self._app(scope, receive, send)
        elif len(key) > _LONGEST:
            refusal = problem(HTTPStatus.BAD_REQUEST, "idempotency_key_too_long", f"at most {_LONGEST} characters")
            await refusal(scope, receive, send)
        else:
            await self._once(scope, receive, send, key, caller)

    async def _once(self, scope: Scope, receive: Receive, send: Send, key: str, caller: str) -> None:
        state: State = scope["app"].state.wordsight
        body = await whole(receive)
        if body is None:
            return
        request = hashlib.sha256(f"{scope['method']} {scope['path']}\0".encode() + body).digest()
        sent = _Sent(state.secret.digest("idempotency", caller), key, body, request)
        try:
            async with self._of_key.of(sent.who.hex()), self._turns:
                answer = await self._answer(scope, state, sent)
        except WordsightError as error:
            answer = answered(error)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, state: State, sent: _Sent) -> ASGIApp:
        """The answer to be given, now or again. Raises `EnvironmentMissing`, `Overloaded`: it may have been done."""
        recorder = Recorder()
        try:
            async with state.catalog.writing() as session:
                if not await idempotency.hold(session, sent.who, sent.key):
                    return _in_progress()
                kept = await idempotency.found(session, sent.who, sent.key)
                if kept is not None:
                    return _again(kept, sent.request_sha256)
                with taking(session):
                    await self._app(scope, again(sent.body), recorder)
                if recorder.status not in _GOOD:
                    raise _Undone
                made = Kept(sent.request_sha256, recorder.status, recorder.media_type, bytes(recorder.body))
                await idempotency.keep(session, sent.who, sent.key, made)
        except _Undone:
            pass
        return recorder.replay


def _is_kept(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _WRITES and not scope["path"].endswith(_NEVER_KEPT)


def _in_progress() -> Response:
    wait = {"Retry-After": "1"}
    return problem(
        HTTPStatus.CONFLICT,
        "idempotency_in_progress",
        "the first request still runs",
        fix="try again after Retry-After seconds",
        headers=wait,
    )


def _again(kept: Kept, request: bytes) -> Response:
    if kept.request_sha256 != request:
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was sent with another request",
            fix="use a new key for each write",
        )
    return Response(kept.body, kept.status, {"Idempotent-Replay": "true"}, kept.media_type)
