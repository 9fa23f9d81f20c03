"""Idempotency-Key: a write that is sent again gets the answer that it got before; plain ASGI.

The answer of a write that succeeded is kept for a day under the caller and the key. The same key with another request
is refused, and so is one whose first request still runs. A write that failed is forgotten and may be sent again.
Searches write nothing, a fresh API key is never kept, and an image that is sent again is the same image: the header
changes nothing for these.
"""

import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.bodies import again, whole
from app.problems import problem
from app.state import State
from scenes.catalog import idempotency
from scenes.catalog.idempotency import Kept
from scenes.errors import WordsightError

_HEADER = b"idempotency-key"
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_NEVER_KEPT = ("/search", "/search/batch", "/search/explain", "/v1/keys", "/rotate", "/uploads")
_LONGEST = 200
_GOOD = range(200, 300)


@dataclass(slots=True)
class Recorder:
    """Holds an answer back until what it says is kept."""

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


class Idempotency:
    """Answers a repeated write from what was kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
        who = state.secret.digest("idempotency", caller)
        body = await whole(receive)
        request = hashlib.sha256(f"{scope['method']} {scope['path']}\0".encode() + body).digest()
        try:
            async with state.catalog.writing() as session:
                first = await idempotency.begin(session, who, key, request)
                kept = None if first else await idempotency.found(session, who, key)
        except WordsightError:
            await self._app(scope, again(body), send)  # Postgres is away: the write itself says so
            return
        if not first:
            await _answer(kept, request)(scope, receive, send)
            return
        recorder = Recorder()
        await self._run(scope, body, recorder, state, who, key)
        for message in recorder.messages:
            await send(message)

    async def _run(self, scope: Scope, body: bytes, recorder: Recorder, state: State, who: bytes, key: str) -> None:
        try:
            await self._app(scope, again(body), recorder)
        finally:
            async with state.catalog.writing() as session:
                if recorder.status in _GOOD:
                    kept = recorder.status, recorder.media_type, bytes(recorder.body)
                    await idempotency.end(session, who, key, *kept)
                else:
                    await idempotency.forget(session, who, key)


def _is_kept(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _WRITES and not scope["path"].endswith(_NEVER_KEPT)


def _answer(kept: Kept | None, request: bytes) -> Response:
    if kept is not None and kept.request_sha256 != request:
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was sent with another request",
            fix="use a new key for each write",
        )
    if kept is None or kept.status is None:
        again = {"Retry-After": "1"}
        return problem(HTTPStatus.CONFLICT, "idempotency_in_progress", "the first request still runs", headers=again)
    return Response(kept.body, kept.status, {"Idempotent-Replay": "true"}, kept.media_type)
