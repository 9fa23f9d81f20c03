"""Who is asking, and may they? A bearer key for programs, a session cookie for people.

`app.http.middleware.authentication` finds the caller of each request and puts it into the scope; `caller_of` gets it
from there.
"""

import asyncio
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from app.http.origins import check_origin
from app.http.security import may
from app.keys.service import Keys, still_good
from app.state import State
from scenes.catalog import sessions
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow, Scope
from scenes.errors import Forbidden, Overloaded, Unauthenticated, WordsightError

SESSION_COOKIE = "wordsight_session"
SESSION_SECONDS = 12 * 3600
CALLER = "wordsight.caller"
"""Where in a request's scope its `Caller` is, or the `WordsightError` that says why there is none."""
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 1_000
_STRANGERS_AT_ONCE = 3
_MOST_ASKED = 500
_bearer = HTTPBearer(auto_error=False, description="An API key: `wordsight key create`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller and what the key allows."""

    key: KeyRow

    def require(self, scope: Scope, collection: str | None) -> None:
        """Raises `Forbidden` (`key_not_allowed`)."""
        if not may(self.key, scope, collection):
            where = f"in {collection!r}" if collection else "here"
            raise Forbidden("key_not_allowed", f"this key may not {scope} {where}", fix="use a key with that scope")


class KeyCache:
    """Good keys, remembered for a second: a revoked key is refused within that time. Requests ask once together.

    Keys that were never seen are asked for a few at a time, so that a flood of invented ones leaves connections to
    Postgres to everyone else.
    """

    def __init__(self, known: Keys) -> None:
        self._keys = known
        self._seen: dict[str, tuple[float, KeyRow]] = {}
        self._asking: dict[str, asyncio.Future[KeyRow]] = {}
        self._strangers = asyncio.Semaphore(_STRANGERS_AT_ONCE)

    def has_seen(self, key: str) -> bool:
        """Was this key a good one lately?"""
        return key in self._seen

    async def check(self, key: str) -> KeyRow:
        """What a key may do. Raises `Unauthenticated`, `Overloaded` (`too_many_unknown_keys`), `EnvironmentMissing`."""
        until, row = self._seen.get(key, (0.0, None))
        if row is not None and until > time.monotonic():
            return still_good(row)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key) if row else self._ask_stranger(key))
            asking.add_done_callback(lambda _done: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask_stranger(self, key: str) -> KeyRow:
        if len(self._asking) > _MOST_ASKED:
            raise Overloaded("too_many_unknown_keys", "too many unknown keys are being checked", retry_after_s=1.0)
        async with self._strangers:
            return await self._ask(key)

    async def _ask(self, key: str) -> KeyRow:
        row = await self._keys.check(key)
        if len(self._seen) >= _CACHE_SIZE:
            self._seen.clear()
        self._seen[key] = (time.monotonic() + _CACHE_SECONDS, row)
        return row


async def caller(request: Request, _documented: Annotated[Any, Depends(_bearer)]) -> Caller:
    """The caller of a REST endpoint. Raises what `caller_of` raises."""
    return caller_of(request.scope)


def caller_of(scope: MutableMapping[str, Any]) -> Caller:
    """The caller of a request.

    Raises `Unauthenticated`, `Overloaded` (`rate_limited`, `postgres_busy`), `EnvironmentMissing`.
    """
    found = scope.get(CALLER)
    if isinstance(found, Caller):
        return found
    raise found if isinstance(found, WordsightError) else no_key()


def no_key() -> Unauthenticated:
    """The error of a request that sends neither a key nor a session."""
    return Unauthenticated(
        "key_missing", "an API key is needed", fix="send Authorization: Bearer KEY; wordsight key create makes one"
    )


async def key_caller(state: State, given: str) -> Caller:
    """The caller behind an API key. Raises `Unauthenticated`, `Overloaded` (`rate_limited`)."""
    key = await state.keys.check(given)
    state.limits.take(key.key_id)
    return Caller(key)


async def session_caller(state: State, cookie: str, scope: Mapping[str, Any]) -> Caller:
    """The person behind the session cookie of a request with this ASGI scope.

    Raises `Unauthenticated` (`session_over`), `Forbidden` (`origin_not_allowed`).
    """
    session = state.secret.read_session(cookie)
    if session is None:
        raise _session_over()
    check_origin(scope["method"], dict(scope["headers"]), scope["scheme"])
    async with state.catalog.reading() as catalog:
        if await sessions.has_ended(catalog, session.session_id):
            raise _session_over()
    return Caller(_person(session.key_id))


async def log_out(state: State, cookie: str) -> None:
    """End the session of a cookie: no server takes the cookie, or a copy of it, from now on."""
    session = state.secret.read_session(cookie)
    if session is not None:
        async with state.catalog.writing() as catalog:
            await sessions.end(catalog, session.session_id, session.expires_at)


async def log_in(state: State, token: str) -> str:
    """Exchange a one-time token for a session cookie's value. Raises `Unauthenticated` (`login_link_spent`)."""
    async with state.catalog.writing() as session:
        spent = await sessions.spend_login(session, state.secret.digest("login", token))
    if not spent:
        raise Unauthenticated(
            "login_link_spent", "this link was used already or is too old", fix="wordsight serve prints a fresh one"
        )
    return state.secret.sign_session("person", time.time() + SESSION_SECONDS)


def _session_over() -> Unauthenticated:
    return Unauthenticated("session_over", "this session is over", fix="open the link that `wordsight serve` prints")


def _person(name: str) -> KeyRow:
    return KeyRow(name, name, EVERY_COLLECTION, "admin", datetime.now(UTC), None, None)


CallerDependency = Annotated[Caller, Depends(caller)]
