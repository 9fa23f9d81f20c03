"""The short way to a search: from the request's bytes to the answer's, past routing and response models.

It takes what is plainly a search: same checks, same service, same answer. All else – a malformed body, another path –
goes the long way, which also tells what is wrong with it.
"""

import re
from http import HTTPStatus
from types import SimpleNamespace

from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http import problems
from app.http.access import caller_of
from app.http.middleware.bodies import again, whole
from app.search.endpoints import router
from app.state import State
from scenes.answer import Query
from scenes.errors import WordsightError

ROUTE = f"{router.prefix}/search"
_PATH = re.compile(r"/v1/collections/([a-z0-9][a-z0-9_-]{0,62})/search")
_JSON = "application/json"


class QuickSearch:
    """Answers searches, and passes everything else on; plain ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._route = SimpleNamespace(path=ROUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if named is None or Headers(scope=scope).get("content-type") != _JSON:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        try:
            caller_of(scope).require("search", named[1])
        except WordsightError as error:
            await problems.answered(error)(scope, receive, send)
            return
        body = await whole(receive)
        if body is None:
            return
        try:
            query = Query.model_validate_json(body)
        except ValidationError:
            await self._app(scope, again(body), send)
            return
        answer = await _answer(scope["app"].state.wordsight, named[1], query)
        await answer(scope, receive, send)


async def _answer(state: State, collection: str, query: Query) -> Response:
    try:
        reply = await state.service.reply(collection, query)
    except WordsightError as error:
        return problems.answered(error)
    state.metrics.searched(reply.frame.matches)
    return Response(reply.written(), HTTPStatus.OK, media_type=_JSON)
