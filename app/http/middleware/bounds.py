"""Bounds on what comes in, and headers on what goes out; plain ASGI, so that nothing is buffered."""

import contextlib
from http import HTTPStatus
from typing import NoReturn

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.access import CALLER, Caller
from app.http.middleware.admission import Admission
from app.http.problems import answered, problem
from scenes.errors import Overloaded

MAX_BODY_BYTES = 64 * 1024
MAX_IMAGE_BYTES = 1024 * 1024
MAX_BULK_BYTES = 32 * 1024 * 1024
"""Lines sent in bulk, and one raw image."""
_CSP = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # without any, browsers hide the Origin of our own forms
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _CSP),
)
_ENCODED_SLASH = b"%2f"
_SAFE = ("GET", "HEAD")
_NO_ADDRESS = problem(
    HTTPStatus.NOT_FOUND, "not_found", "a name in the address is empty or holds a slash", fix="check the ids in it"
)
_ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")


class BodyRefused(Exception):
    """No more of the body is read; its request gets the refusal for an answer, whatever catches this."""


class Bounds:
    """Refuses bodies over their path's bound, too many slow ones, and addresses that mislead; adds security headers."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        secured = _secured(send, scope["scheme"])
        if _misleads(scope):
            await _NO_ADDRESS(scope, receive, secured)
            return
        length = headers.get(b"content-length", b"0")
        most = _most(scope["path"])
        if not length.isdigit() or int(length) > most:
            await _too_large(most)(scope, receive, secured)
            return
        caller = scope.get(CALLER)
        if not isinstance(caller, Caller):
            await self._app(scope, receive, secured)
            return
        body, started = _Body(receive, most, self._admission, caller.key.key_id), False

        async def watch(message: Message) -> None:
            nonlocal started
            if body.refusal is None or started:
                started = True
                await secured(message)

        with contextlib.suppress(BodyRefused):
            await self._app(scope, body, watch)
        if body.refusal is not None and not started:
            await body.refusal(scope, receive, secured)


class _Body:
    """The body of one request as it is read: how large it is, and that its client is waited for."""

    def __init__(self, receive: Receive, most: int, admission: Admission, key_id: str) -> None:
        self.refusal: Response | None = None
        self._receive, self._most = receive, most
        self._admission, self._key_id = admission, key_id
        self._size, self._more = 0, True

    async def __call__(self) -> Message:
        """The next message. Raises `BodyRefused`."""
        if not self._more:
            return await self._receive()
        try:
            self._admission.await_body(self._key_id)
        except Overloaded as error:
            self._refuse(answered(error))
        try:
            message = await self._receive()
        finally:
            self._admission.body_came(self._key_id)
        self._more = message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            self._refuse(_too_large(self._most))
        return message

    def _refuse(self, refusal: Response) -> NoReturn:
        self.refusal = refusal
        raise BodyRefused


def _misleads(scope: Scope) -> bool:
    """Would an id in the address lead to another endpoint?

    An encoded slash is routed like a plain one. Clients turn `/images/..` into `/`, which a redirect would lead on to
    the collection itself: only what changes nothing is redirected.
    """
    path: str = scope["path"]
    is_open = path.endswith("/") and path != "/" and scope["method"] not in _SAFE
    return is_open or _ENCODED_SLASH in scope["raw_path"].lower()


def _most(path: str) -> int:
    if path.endswith(("/bulk", "/uploads")):
        return MAX_BULK_BYTES
    return MAX_IMAGE_BYTES if "/images/" in path else MAX_BODY_BYTES


def _secured(send: Send, scheme: str) -> Send:
    extra = (*_HEADERS, _ONLY_HTTPS) if scheme == "https" else _HEADERS

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *extra]
        await send(message)

    return secured


def _too_large(most: int) -> Response:
    limit = f"a request may be {most} bytes long"
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_too_large", limit, fix="send less at once")
