"""Who asks is found out before a byte of the body is read, once for each request, in this one place; plain ASGI.

Programs send a bearer key, people have a session cookie; pages know cookies only. A key's rate limit is taken here. The
caller, or why there is none, is put into the scope: endpoints ask for it by `app.http.access.caller_of`. A request
without a caller is passed on without its body, whatever it asks for, so that open routes and refusals read nothing.
"""

from typing import cast

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.access import CALLER, SESSION_COOKIE, Caller, key_caller, no_key, session_caller
from app.http.middleware.admission import Admission, is_counted
from app.http.middleware.bodies import bodiless
from app.state import State
from scenes.errors import WordsightError

OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""These answer whatever the state of Postgres and of the keys."""
_REST = "/v1/"
_BEARER = "bearer"


class Authentication:
    """Puts the caller into the scope, and takes the body from requests that have none."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = no_key() if scope["path"] in OPEN else await self._found(scope)
        scope[CALLER] = found
        known = isinstance(found, Caller) and is_counted(scope["path"])
        try:
            await self._app(scope, receive if known else bodiless(receive), send)
        finally:
            scope.pop(CALLER, None)  # an error that was raised holds the scope, which must not hold the error

    async def _found(self, scope: Scope) -> Caller | WordsightError:
        try:
            key = _bearer(scope) if scope["path"].startswith(_REST) else None
            if key is not None:
                return await self._by_key(_state(scope), key, is_counted(scope["path"]))
            return await _by_session(scope)
        except WordsightError as error:
            return error

    async def _by_key(self, state: State, key: str, counted: bool) -> Caller:
        """A key that was never seen takes no one's place while Postgres is asked for it."""
        if not counted or state.keys.has_seen(key):
            return await key_caller(state, key)
        self._admission.pause()
        try:
            return await key_caller(state, key)
        finally:
            self._admission.begin()


async def is_operator(scope: Scope) -> bool:
    """Does a request that needs no key carry one that may administer everything?"""
    try:
        key = _bearer(scope)
        found = await _by_session(scope) if key is None else await key_caller(_state(scope), key)
        found.require("admin", None)
    except WordsightError:
        return False
    return True


async def _by_session(scope: Scope) -> Caller:
    """The person of a session cookie. Raises `Unauthenticated`, `Forbidden` (`origin_not_allowed`)."""
    cookie = cookie_parser(dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")).get(SESSION_COOKIE)
    if not cookie:
        raise no_key()
    return await session_caller(_state(scope), cookie, scope)


def _state(scope: Scope) -> State:
    return cast(State, scope["app"].state.wordsight)


def _bearer(scope: Scope) -> str | None:
    given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    scheme, _, key = given.partition(" ")
    return key if key and scheme.lower() == _BEARER else None
