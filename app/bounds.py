"""Bounds on what comes in, and headers on what goes out; plain ASGI, so that nothing is buffered."""

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem

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


class BodyTooLarge(Exception):
    """The body grew past its bound while it was read."""


class Bounds:
    """Refuses bodies over their path's bound and addresses that mislead, and adds security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            await _refuse(scope, receive, secured, most)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await secured(message)

        try:
            await self._app(scope, _bounded(receive, most), watch)
        except BodyTooLarge:
            if not started:
                await _refuse(scope, receive, secured, most)


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


def _bounded(receive: Receive, most: int) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise BodyTooLarge
        return message

    return bounded


def _secured(send: Send, scheme: str) -> Send:
    extra = (*_HEADERS, _ONLY_HTTPS) if scheme == "https" else _HEADERS

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *extra]
        await send(message)

    return secured


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    limit = f"a request may be {most} bytes long"
    response = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_too_large", limit, fix="send less at once")
    await response(scope, receive, send)
