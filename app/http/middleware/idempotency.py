"""Idempotency-Key: a write that is sent again is not done again; plain ASGI.

What a write that succeeded did is kept for a day under the caller and the key, committed with the write itself: however
a server ends, the write was done and is known, or neither. The same key with another request is refused, and so is one
whose first request still runs. A write that failed is forgotten and may be sent again.

A request that is sent again is checked as any other: its key, its rate, and by its endpoint whether the key may write
there. Its answer has the status of the first one and shows what was written as it is now, as a GET does; what was
deleted since gets 410. No body is kept, so no answer shows, and no table holds, what was erased.

Searches write nothing, a fresh API key is never kept, and an image or a line that is sent again is the same image: the
header changes nothing for these.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.access import CALLER, Caller
from app.http.limits import Turns
from app.http.middleware.bodies import again, whole
from app.http.problems import answered, problem
from app.http.transaction import AlreadyDone, checking_only, taking
from app.state import State
from scenes.catalog import idempotency
from scenes.catalog.connection import WriteSession
from scenes.catalog.idempotency import Kept
from scenes.errors import WordsightError

_HEADER = b"idempotency-key"
_REST = "/v1/"
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
NEVER_KEPT = ("/search", "/search/batch", "/search/explain", "/v1/keys", "/rotate", "/uploads", "/bulk")
_LONGEST = 200
_GOOD = range(200, 300)
_MADE = {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}
_REPLAY = {"Idempotent-Replay": "true"}
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
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message.get("headers", []))
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
        key = dict(scope.get("headers", [])).get(_HEADER, b"").decode("latin-1")
        caller = scope.get(CALLER)
        if not key or not isinstance(caller, Caller) or not _is_kept(scope):
            await self._app(scope, receive, send)
        elif len(key) > _LONGEST:
            refusal = problem(HTTPStatus.BAD_REQUEST, "idempotency_key_too_long", f"at most {_LONGEST} characters")
            await refusal(scope, receive, send)
        else:
            await self._once(scope, receive, send, key, caller)

    async def _once(self, scope: Scope, receive: Receive, send: Send, key: str, caller: Caller) -> None:
        state: State = scope["app"].state.wordsight
        body = await whole(receive)
        if body is None:
            return
        request = hashlib.sha256(f"{scope['method']} {scope['path']}\0".encode() + body).digest()
        sent = _Sent(state.secret.digest("idempotency", caller.key.key_id), key, body, request)
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
                if kept is None:
                    await self._done(scope, session, sent, recorder)
        except _Undone:
            pass
        return recorder.replay if kept is None else await self._again(scope, kept, sent)

    async def _done(self, scope: Scope, session: WriteSession, sent: _Sent, recorder: Recorder) -> None:
        """Do the write and keep that it was done. Raises `_Undone`."""
        with taking(session):
            await self._app(scope, again(sent.body), recorder)
        if recorder.status not in _GOOD:
            raise _Undone
        made = Kept(sent.request_sha256, recorder.status, _resource(scope, recorder))
        await idempotency.keep(session, sent.who, sent.key, made)

    async def _again(self, scope: Scope, kept: Kept, sent: _Sent) -> ASGIApp:
        """The answer to a write that was done: the endpoint checks the request again, then what it wrote is shown."""
        if kept.request_sha256 != sent.request_sha256:
            return _reused()
        checked = Recorder()
        try:
            with checking_only():
                await self._app(scope, again(sent.body), checked)
        except AlreadyDone:
            return Response(None, kept.status, _REPLAY) if kept.resource is None else await self._shown(scope, kept)
        return checked.replay

    async def _shown(self, scope: Scope, kept: Kept) -> ASGIApp:
        now = Recorder()
        read = {"method": "GET", "path": kept.resource, "raw_path": str(kept.resource).encode(), "query_string": b""}
        await self._app({**scope, **read}, again(b""), now)
        if now.status == HTTPStatus.NOT_FOUND:
            return _deleted()
        if now.status not in _GOOD:
            return now.replay
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in now.headers.items()}
        if kept.status in _MADE:
            headers["location"] = str(kept.resource)
        return Response(bytes(now.body), kept.status, headers | _REPLAY)


def _resource(scope: Scope, answer: Recorder) -> str | None:
    """The path of what a write wrote, whose present state is the answer to the write when it is sent again.

    Raises `LookupError` where an answer with a body names none: then it could not be shown again.
    """
    if not answer.body:
        return None
    named = answer.headers.get(b"content-location") or answer.headers.get(b"location")
    if named is None and scope["method"] == "POST":
        raise LookupError("the answer names nothing that can be read again")
    path: str = named.decode("latin-1") if named else scope["path"]
    return path


def _is_kept(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] in _WRITES and path.startswith(_REST) and not path.endswith(NEVER_KEPT)


def _in_progress() -> Response:
    wait = {"Retry-After": "1"}
    return problem(
        HTTPStatus.CONFLICT,
        "idempotency_in_progress",
        "the first request still runs",
        fix="try again after Retry-After seconds",
        headers=wait,
    )


def _reused() -> Response:
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this Idempotency-Key was sent with another request",
        fix="use a new key for each write",
    )


def _deleted() -> Response:
    return problem(
        HTTPStatus.GONE,
        "idempotency_result_deleted",
        "this write was done when it was sent first, and what it wrote was deleted since",
        fix="to write it again, send it with a new Idempotency-Key",
    )
