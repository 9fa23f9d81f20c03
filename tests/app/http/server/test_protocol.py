"""What a client sends, or leaves unsent, has a bound: heads, bodies, framing, requests at once, unread answers."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from app.http.server.protocol import MOST_HEAD_BYTES, MOST_HEADERS
from tests.app.http.server.slow_clients import KINDS, Target, never_reads

pytestmark = pytest.mark.http
PATIENCE_S = 0.6
LATER_S = 8.0
"""After so long whoever is late has been sent away."""
LARGE = b"x" * 16_000_000
ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Told:
    """Answers with what it was asked; `/large` gets a large answer, `/waits` one a little later."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.failed: list[Exception] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        size, more = 0, scope["path"] == "/reads"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        if scope["path"] == "/waits":
            await asyncio.sleep(0.2)
        body = LARGE if scope["path"] == "/large" else b"%d" % size
        head = [(b"content-length", b"%d" % len(body))]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})
        except Exception as error:
            self.failed.append(error)
            raise


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int, Told]]:
    monkeypatch.setenv("WORDSIGHT_HEAD_TIMEOUT", str(PATIENCE_S))
    monkeypatch.setenv("WORDSIGHT_BODY_TIMEOUT", str(PATIENCE_S))
    told = Told()
    config = uvicorn.Config(
        told,
        host="127.0.0.1",
        port=0,
        loop="app.http.server.loop:ServerLoop",
        http="app.http.server.protocol:BoundedHttp",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=1,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield "127.0.0.1", running.servers[0].sockets[0].getsockname()[1], told
    running.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


async def said(where: tuple[str, int, Told], *parts: bytes, pause_s: float = 0.05) -> bytes:
    """All that comes back until the server closes, or for so long as a late client is borne."""
    reader, writer = await asyncio.open_connection(*where[:2])
    came = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(LATER_S):
            while more := await reader.read(65_536):
                came += more
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return came


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["code"] if body.startswith(b"{") else ""


async def test_a_head_has_a_bound(server: tuple[str, int, Told]) -> None:
    def head(size: int) -> bytes:
        start, end = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: ", b"\r\n\r\n"
        return start + b"x" * (size - len(start + end)) + end

    assert status_and_code(await said(server, head(MOST_HEAD_BYTES)))[0] == 200
    assert status_and_code(await said(server, head(MOST_HEAD_BYTES + 1))) == (431, "head_too_large")
    many = b"GET / HTTP/1.1\r\nConnection: close\r\n" + b"a: b\r\n" * (MOST_HEADERS - 1)
    assert status_and_code(await said(server, many + b"\r\n"))[0] == 200
    assert status_and_code(await said(server, many + b"a: b\r\n\r\n")) == (431, "head_too_large")
    assert status_and_code(await said(server, b"nonsense\r\n\r\n")) == (400, "http_invalid")
    assert status_and_code(await said(server, b"GET / HT")) == (408, "request_too_slow")


async def test_a_body_that_comes_is_waited_for(server: tuple[str, int, Told]) -> None:
    whole = b"POST /reads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"
    assert (await said(server, whole + b"x" * 1_000_000)).endswith(b"\r\n\r\n1000000")
    steady = b"POST /reads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10000\r\n\r\n"
    assert (await said(server, steady, *[b"x" * 1_000] * 10, pause_s=PATIENCE_S / 3)).endswith(b"\r\n\r\n10000")
    chunked = b"POST /reads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await said(server, chunked, b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")).endswith(b"\r\n\r\n50000")
    stopped = await said(server, steady, b"x")
    assert status_and_code(stopped) == (408, "request_too_slow")


async def test_trailers_are_no_headers(server: tuple[str, int, Told]) -> None:
    head = b"POST /reads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await said(server, head + b"1\r\nx\r\n0\r\nAuthorization: Bearer other\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n1")
    assert "authorization" not in server[2].headers[-1]


async def test_a_connection_is_kept_and_takes_some_requests_at_once(server: tuple[str, int, Told]) -> None:
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await said(server, ASKED, ASKED * 10, last, pause_s=0.2)).count(b"HTTP/1.1 200") == 12
    assert (await said(server, ASKED * 5_000)).count(b"HTTP/1.1 200") < 100
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert (await said(server, upgrade)).startswith(b"HTTP/1.1 200")


async def test_a_request_that_is_given_up_ends_without_a_fault(server: tuple[str, int, Told]) -> None:
    assert await said(server, ASKED.replace(b"/", b"/waits", 1) * 100) == b""
    await asyncio.sleep(0.5)
    assert server[2].headers
    assert server[2].failed == []


async def test_an_answer_that_nobody_reads_is_given_up(server: tuple[str, int, Told]) -> None:
    first, _ = await read_of_large(server, wait_s=5 * PATIENCE_S)
    assert first < len(LARGE)
    second, seconds = await read_of_large(server, wait_s=0, pause_s=0.01)
    assert second > len(LARGE)
    assert seconds > PATIENCE_S


async def read_of_large(where: tuple[str, int, Told], wait_s: float, pause_s: float = 0) -> tuple[int, float]:
    """How much of a large answer comes, and in how many seconds, where it is read after a while, then steadily."""
    began, came = time.monotonic(), 0
    reader, writer = await asyncio.open_connection(*where[:2], limit=1_024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(wait_s)
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(100_000):
            came += len(more)
            await asyncio.sleep(pause_s)
    writer.transport.abort()
    return came, time.monotonic() - began


async def ended_after(kind: Callable[..., Any], where: tuple[str, int, Told]) -> float | None:
    """After how many seconds a client of a kind was sent away."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(*where[:2])
    sending = asyncio.ensure_future(kind(Target("", "reads", "key"), writer))
    try:
        await asyncio.wait_for(reader.read(-1), LATER_S)
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
    return time.monotonic() - began


async def test_whoever_is_late_or_endless_is_sent_away_and_others_are_served(server: tuple[str, int, Told]) -> None:
    kinds = [kind for kind in KINDS if kind is not never_reads]
    bad = asyncio.gather(*(ended_after(kind, server) for kind in kinds))
    slowest = 0.0
    async with httpx.AsyncClient(timeout=10) as client:
        while not bad.done():
            began = time.monotonic()
            assert (await client.get(f"http://{server[0]}:{server[1]}/")).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)
    late = {kind.__name__: seconds for kind, seconds in zip(kinds, await bad, strict=True)}
    assert None not in late.values(), late
    assert slowest < 1
