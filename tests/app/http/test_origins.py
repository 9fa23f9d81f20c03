"""A session is for this server's own pages alone, and ends where its person logs out."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.http.access import SESSION_COOKIE
from app.http.origins import is_own
from app.search.expiry import purge
from scenes.catalog import sessions
from scenes.catalog.connection import Catalog
from tests.app.http.test_scopes import operations, send
from tests.app.live import SECRET, Live, live

HERE = {b"host": b"photos.example:8000"}


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "mine") as running:
        yield running


def person(server: Live, **headers: str) -> httpx.Client:
    """A client with a session in place of a key."""
    client = server.client()
    client.cookies.set(SESSION_COOKIE, SECRET.sign_session("person", time.time() + 60))
    client.headers.update(headers)
    return client


@pytest.mark.parametrize(
    ("headers", "scheme", "own"),
    [
        ({b"origin": b"http://photos.example:8000"}, "http", True),
        ({b"origin": b"HTTP://Photos.Example:8000"}, "http", True),
        ({b"origin": b"http://photos.example:8000"}, "https", False),
        ({b"origin": b"https://photos.example:8000"}, "http", False),
        ({b"origin": b"http://photos.example:8001"}, "http", False),
        ({b"origin": b"http://photos.example"}, "http", False),
        ({b"origin": b"http://evil.example:8000"}, "http", False),
        ({b"origin": b"http://photos.example:8000.evil.example"}, "http", False),
        ({b"origin": b"null"}, "http", False),
        ({b"origin": b""}, "http", False),
        ({b"origin": b"http://photos.example", b"host": b"photos.example:80"}, "http", True),
        ({b"origin": b"https://photos.example:443", b"host": b"photos.example"}, "https", True),
        ({b"origin": b"http://[::1]:8000", b"host": b"[::1]:8000"}, "http", True),
        ({b"origin": b"null", b"sec-fetch-site": b"same-origin"}, "http", False),
        ({b"sec-fetch-site": b"same-origin"}, "http", True),
        ({b"sec-fetch-site": b"same-site"}, "http", False),
        ({b"sec-fetch-site": b"cross-site", b"referer": b"http://photos.example:8000/"}, "http", False),
        ({b"sec-fetch-site": b"none"}, "http", False),
        ({b"referer": b"http://photos.example:8000/images/a/b"}, "http", True),
        ({b"referer": b"http://photos.example:8000@evil.example/"}, "http", False),
        ({b"referer": b"http://evil.example/http://photos.example:8000/"}, "http", False),
        ({b"referer": b"http://["}, "http", False),
        ({}, "http", False),
        ({b"host": b"", b"origin": b"http://"}, "https", False),
    ],
)
def test_what_comes_from_a_page_of_this_server(headers: dict[bytes, bytes], scheme: str, own: bool) -> None:
    assert is_own("POST", HERE | headers, scheme) == own
    assert is_own("DELETE", HERE | headers, scheme) == own
    assert is_own("GET", HERE | headers, scheme)


@pytest.mark.postgres
@pytest.mark.http
def test_a_session_changes_nothing_for_a_foreign_origin(server: Live) -> None:
    with server.client(server.key("*", "admin")) as admin:
        job = admin.post("/v1/jobs", json={"kind": "index", "collection": "mine"}).json()["job_id"]
        key = admin.post("/v1/keys", json={"collection": "mine", "scope": "search"}).json()["key_id"]
        another_port = f"http://127.0.0.1:{int(server.url.rpartition(':')[2]) + 1}"
        changing = [(method, path) for method, path, _ in operations(server) if method != "GET"]
        assert len(changing) > 15
        for headers in ({"Origin": another_port}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {}):
            with person(server, **headers) as client:
                for method, path in changing:
                    answer = send(client, method, path, key, job)
                    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), (method, path)
                for path in ("/", "/logout"):
                    page = client.post(path, data={"collection": "mine", "query": "a cat"})
                    assert page.status_code == 403
                    assert "does not come from a page of this server" in page.text
                assert client.get("/v1/collections").status_code == 200
        assert admin.get("/v1/jobs").json()["jobs"][0]["state"] == "queued"
        assert not admin.get("/v1/keys").json()["keys"][-1]["revoked_at"]
        foreign = admin.post("/v1/collections/mine/search", json={"query": "x"}, headers={"Origin": another_port})
        assert foreign.status_code == 200  # a key is sent by programs alone


@pytest.mark.postgres
@pytest.mark.http
def test_a_session_works_from_the_pages_of_this_server(server: Live) -> None:
    with person(server, Origin=server.url) as client:
        assert client.post("/", data={"collection": "mine", "query": "a cat"}).status_code == 200
        assert client.post("/v1/collections", json={"name": "made"}).status_code == 201
    proxied = {"Host": "photos.example", "X-Forwarded-Proto": "https"}  # by a proxy that is trusted
    for origin, status in (("https://photos.example", 201), ("http://photos.example", 403)):
        with person(server, Origin=origin, **proxied) as client:
            assert client.post("/v1/collections", json={"name": "proxied"}).status_code == status


@pytest.mark.postgres
@pytest.mark.http
async def test_who_logs_out_leaves_no_cookie_that_works(server: Live, catalog: Catalog, home: Path) -> None:
    with person(server, Origin=server.url) as client, person(server, Origin=server.url) as elsewhere:
        copied = client.cookies[SESSION_COOKIE]
        answer = client.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert client.get("/").status_code == 401
        with live(server.database_url.replace("+psycopg", ""), home) as other, other.client() as thief:
            thief.cookies.set(SESSION_COOKIE, copied)
            assert thief.get("/v1/collections").json()["code"] == "session_over"
            assert "session is over" in thief.get("/").text.lower()
        assert elsewhere.get("/v1/collections").status_code == 200
        assert client.post("/logout").status_code == 401
    async with catalog.writing() as session:
        await sessions.end(session, "expired", datetime.now(UTC) - timedelta(seconds=1))
        await sessions.end(session, "expired", datetime.now(UTC) - timedelta(seconds=1))
    ended = SECRET.read_session(copied)
    assert ended is not None
    await purge(catalog)
    async with catalog.reading() as reading:
        assert not await sessions.has_ended(reading, "expired")
        assert await sessions.has_ended(reading, ended.session_id)
