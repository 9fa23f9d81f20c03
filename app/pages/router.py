"""Pages for people. A search is posted, so that no query lands in an address or a log."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import ValidationError

from app.http.access import SESSION_COOKIE, SESSION_SECONDS, caller_of, log_in, log_out
from app.http.problems import status_of
from app.pages.sketch import sketch
from app.pages.template_functions import chance, highlighted
from app.state import State, state_of
from scenes.answer import Query
from scenes.catalog import collections, images
from scenes.errors import BadInput, Unauthenticated, WordsightError
from scenes.wording import object_phrase, people_phrase, relation_phrase

_HERE = Path(__file__).parent
_templates = Jinja2Templates(_HERE / "templates")
_templates.env.globals |= {"sketch": sketch, "highlighted": highlighted, "chance": chance}
_templates.env.globals |= {one.__name__: one for one in (object_phrase, people_phrase, relation_phrase)}
_PAGE_RESULTS = 24
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20
_WHERE = {
    "text": ("in visible text", ("visible_text",)),
    "things": ("in objects", ("objects", "relations")),
    "people": ("in people and actions", ("people", "actions")),
    "setting": ("in the setting", ("setting",)),
}
"""Where people may search, what it is called, and the fields that it means; everywhere where it is none of these."""
Page = Callable[[Request, State], Awaitable[Response]]
_MAX_AGE = timedelta(seconds=SESSION_SECONDS)


def mount(app: FastAPI) -> None:
    """Add the pages and what they load; they are not part of the REST interface."""
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_api_route("/", home, include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/", search, methods=["POST"], include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/login", login, include_in_schema=False)
    app.add_api_route("/logout", logout, methods=["POST"], include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/redoc", redoc, include_in_schema=False)
    app.add_api_route("/images/{collection}/{image_id}", image, include_in_schema=False, response_class=HTMLResponse)


async def home(request: Request) -> Response:
    """The search page, empty."""
    return await _guarded(request, _home)


async def search(request: Request) -> Response:
    """The search page with results, the first ones or those that a cursor leads to."""
    return await _guarded(request, _search)


async def image(request: Request, collection: str, image_id: str) -> Response:
    """One image in words."""

    async def show(request: Request, state: State) -> Response:
        async with state.catalog.reading() as session:
            row = await collections.get(session, collection)
            view = await images.get(session, row.id, image_id)
        return _templates.TemplateResponse(request, "image.html", {"view": view, "collection": collection})

    return await _guarded(request, show)


async def login(request: Request, token: str = "") -> Response:
    """Exchange the one-time link for a session cookie."""
    try:
        cookie = await log_in(state_of(request), token)
    except WordsightError as error:
        return _needs_login(request, error)
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    response.set_cookie(
        SESSION_COOKIE,
        cookie,
        max_age=int(_MAX_AGE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
        path="/",
    )
    return response


async def logout(request: Request) -> Response:
    """End the session: its cookie, and any copy of it, is worth nothing from now on."""

    async def end(request: Request, state: State) -> Response:
        await log_out(state, request.cookies[SESSION_COOKIE])
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    return await _guarded(request, end)


async def docs(request: Request) -> Response:
    """The REST interface, to read and to try out."""
    return _templates.TemplateResponse(request, "docs.html")


async def redoc() -> Response:
    """There is one page of documentation."""
    return RedirectResponse("/docs", HTTPStatus.PERMANENT_REDIRECT)


async def _home(request: Request, state: State) -> Response:
    return await _page(request, state, {})


async def _search(request: Request, state: State) -> Response:
    form = await _fields_of(request)
    query, chosen, field, cursor = (form.get(name, "") for name in ("query", "collection", "field", "cursor"))
    facts: dict[str, Any] = {"query": query, "chosen": chosen, "field": field}
    try:
        asked = Query(query=query, k=_PAGE_RESULTS, cursor=cursor or None, fields=_WHERE.get(field, (None, None))[1])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        told = {"error": f"Your query can't be used: {first['msg'].lower()}.", **facts}
        return await _page(request, state, told, HTTPStatus.UNPROCESSABLE_ENTITY)
    found = await state.service.search(chosen, asked)
    return await _page(request, state, {**facts, "answer": found, "query": asked.query, "further": bool(cursor)})


async def _fields_of(request: Request) -> dict[str, str]:
    """The fields of a posted form. Raises `BadInput` (`form_invalid`).

    Forms in parts are not read: each part may name an encoding, and some encodings yield text that nothing can store.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadInput("form_invalid", f"a form is sent as {_FORM}")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadInput("form_invalid", "the form can't be read", fix="send it from the page") from error
    return dict(pairs)


async def _guarded(request: Request, page: Page) -> Response:
    state = state_of(request)
    try:
        caller_of(request.scope)
        return await page(request, state)
    except Unauthenticated as error:
        return _needs_login(request, error)
    except WordsightError as error:
        told = {"error": error.message, "fix": error.fix or ""}
        return _templates.TemplateResponse(request, "error.html", told, status_code=status_of(error))


async def _page(request: Request, state: State, facts: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    async with state.catalog.reading() as session:
        known = [
            (row.settings.name, await collections.counts(session, row.id)) for row in await collections.all_(session)
        ]
    return _templates.TemplateResponse(
        request, "search.html", {"collections": known, "where": _WHERE, **facts}, status_code=status
    )


def _needs_login(request: Request, error: WordsightError) -> Response:
    """A first visit is no error; a session that is over and a link that was used are told."""
    first_visit = request.scope["path"] != "/login" and SESSION_COOKIE not in request.cookies
    told = {"error": "" if first_visit else error.message}
    return _templates.TemplateResponse(request, "login.html", told, status_code=HTTPStatus.UNAUTHORIZED)
