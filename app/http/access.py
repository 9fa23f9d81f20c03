"""Who is asking, and may they? A bearer key for programs, a session cookie for people.

`app.http.middleware.authentication` finds the caller of each request and puts it into the scope; `caller_of` gets it
from there.
"""

import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from app.http.origins import check_origin
from app.http.security import may
from app.state import State
from scenes.catalog import sessions
from scenes.catalog.keys import EVERY_COLLECTION, KeyRow, Scope
from scenes.errors import Forbidden, Unauthenticated, WordsightError

SESSION_COOKIE = "wordsight_session"
SESSION_SECONDS = 12 * 3600
CALLER = "wordsight.caller"
"""Where in a request's scope its `Caller` is, or the `WordsightError` that says why there is none."""
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
