"""Clients that send too slowly, too much or without an end, or that never read; and others, who are to be served.

They come from other addresses than those others: Linux answers on all of 127.0.0.0/8.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

SEARCH = "/v1/collections/{}/search"
_PIECE = b"x" * 65_536
_PAUSE_S = 0.2
_ROOT = Path(__file__).resolve().parents[4]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Target:
    """A server and a key to one of its collections."""

    url: str
    collection: str
    key: str

    def head(self, *headers: str, keyed: bool = True) -> bytes:
        """The head of a search that is to have a body."""
        key = (f"Authorization: Bearer {self.key}",) if keyed else ()
        lines = (f"POST {SEARCH.format(self.collection)} HTTP/1.1", "Host: x", "Content-Type: application/json")
        return "\r\n".join([*lines, *key, *headers, "", ""]).encode()


@dataclass
class Seen:
    """By kind: how many connections were made, how many the server ended, how long the longest one was open."""

    made: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    longest_s: dict[str, float] = field(default_factory=dict)
    alive_s: list[float] = field(default_factory=list)
    """Seconds of each answer of `/healthz`."""
    searches_s: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """Searches of others that were not answered, by status."""


async def endless_head(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: ")


async def endless_address(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, b"GET /")


async def endless_headers(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n" * 10_000)


async def endless_extension(target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, target.head("Transfer-Encoding: chunked") + b"1;")


async def endless_trailers(target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, target.head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Endless: ")


async def many_at_once(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _endless(writer, b"", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000)


async def silent(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _sent(writer, b"")


async def half_a_head(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _sent(writer, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half")


async def trickled_head(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _trickled(writer, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")


async def blank_lines(_target: Target, writer: asyncio.StreamWriter) -> None:
    await _trickled(writer, b"\r\n", b"\r\n")


async def body_without_a_key(target: Target, writer: asyncio.StreamWriter) -> None:
    await _sent(writer, target.head("Content-Length: 50", keyed=False) + b"{")


async def trickled_without_a_key(target: Target, writer: asyncio.StreamWriter) -> None:
    await _trickled(writer, target.head("Content-Length: 60000", keyed=False))


async def body_that_stops(target: Target, writer: asyncio.StreamWriter) -> None:
    await _sent(writer, target.head("Content-Length: 50") + b"{")


async def trickled_body(target: Target, writer: asyncio.StreamWriter) -> None:
    await _trickled(writer, target.head("Content-Length: 60000"))


async def never_reads(_target: Target, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    await _trickled(writer, asked, asked * 8, pause_s=0.05)


async def upgrade(_target: Target, writer: asyncio.StreamWriter) -> None:
    lines = ("GET / HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    await _trickled(writer, "\r\n".join([*lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]).encode())


KINDS: tuple[Callable[[Target, asyncio.StreamWriter], Awaitable[None]], ...] = (
    endless_head,
    endless_address,
    endless_headers,
    endless_extension,
    endless_trailers,
    many_at_once,
    silent,
    half_a_head,
    trickled_head,
    blank_lines,
    body_without_a_key,
    trickled_without_a_key,
    body_that_stops,
    trickled_body,
    never_reads,
    upgrade,
)


async def drive(target: Target, other_key: str, seconds: float, clients: int) -> Seen:
    """So many clients of each kind, again and again, and others that search and ask whether the server is alive.

    Each lot has a process of its own: what is measured is the server, not who asks.
    """
    arguments = [target.url, target.collection, target.key, str(seconds), str(clients)]
    bad = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, *arguments, stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    seen, until = Seen(), time.monotonic() + seconds
    try:
        await asyncio.gather(
            *(_searches(target, other_key, seen, until) for _ in range(4)), _is_alive(target.url, seen, until)
        )
        came, _ = await asyncio.wait_for(bad.communicate(), seconds + 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            bad.kill()
    seen.made, seen.ended, seen.longest_s = json.loads(came)
    return seen


async def disturb(target: Target, seconds: float, clients: int) -> Seen:
    """So many clients of each kind, each again as soon as the server ended its connection."""
    seen, until = Seen(), time.monotonic() + seconds
    bad = [_again(kind, target, seen, until, n) for n, kind in enumerate(KINDS) for _ in range(clients)]
    await asyncio.gather(*bad)
    return seen


async def _again(kind: Any, target: Target, seen: Seen, until: float, number: int) -> None:
    name = kind.__name__
    while (began := time.monotonic()) < until:
        try:
            reader, writer = await _connected(target.url, f"127.0.1.{number + 1}")
        except OSError:
            await asyncio.sleep(_PAUSE_S)
            continue
        seen.made[name] = seen.made.get(name, 0) + 1
        sending = asyncio.ensure_future(kind(target, writer))
        ended = await _is_ended(reader, sending, until + 1, reads=kind is not never_reads)
        seen.ended[name] = seen.ended.get(name, 0) + ended
        seen.longest_s[name] = max(seen.longest_s.get(name, 0.0), time.monotonic() - began)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
        await asyncio.sleep(_PAUSE_S)


async def _connected(url: str, from_: str) -> Streams:
    where = httpx.URL(url)
    return await asyncio.open_connection(where.host, where.port, local_addr=(from_, 0))


async def _is_ended(reader: asyncio.StreamReader, sending: "asyncio.Future[None]", until: float, reads: bool) -> bool:
    """Did the server end the connection before the time is over?"""
    try:
        async with asyncio.timeout(max(0.1, until - time.monotonic())):
            while reads and await reader.read(65_536):
                pass
            await sending if not reads else None
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


async def _endless(writer: asyncio.StreamWriter, first: bytes, piece: bytes = _PIECE) -> None:
    writer.write(first)
    while True:
        writer.write(piece)
        await writer.drain()


async def _sent(writer: asyncio.StreamWriter, first: bytes) -> None:
    writer.write(first)
    await writer.drain()
    await asyncio.Event().wait()


async def _trickled(writer: asyncio.StreamWriter, first: bytes, piece: bytes = b"x", pause_s: float = 0.3) -> None:
    writer.write(first)
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)


async def _is_alive(url: str, seen: Seen, until: float) -> None:
    """Each time over a connection of its own: one that is let in is not enough."""
    where = httpx.URL(url)
    while time.monotonic() < until:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(where.host, where.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read(-1)
        seen.alive_s.append(time.monotonic() - began)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        writer.transport.abort()
        await asyncio.sleep(0.05)


async def _searches(target: Target, key: str, seen: Seen, until: float) -> None:
    async with httpx.AsyncClient(base_url=target.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        while time.monotonic() < until:
            began = time.monotonic()
            answer = await client.post(SEARCH.format(target.collection), json={"query": f"a dog {began}", "k": 3})
            if answer.status_code == 200:
                seen.searches_s.append(time.monotonic() - began)
            else:
                code = answer.json()["code"]
                seen.refused[code] = seen.refused.get(code, 0) + 1
            await asyncio.sleep(0.02)


def main(url: str, collection: str, key: str, seconds: str, clients: str) -> None:
    seen = asyncio.run(disturb(Target(url, collection, key), float(seconds), int(clients)))
    print(json.dumps([seen.made, seen.ended, seen.longest_s]))


if __name__ == "__main__":
    main(*sys.argv[1:])
