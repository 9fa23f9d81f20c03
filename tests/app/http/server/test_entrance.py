"""Connections are bounded from the moment they are accepted: by address, in all, and during TLS handshakes."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from app.http.server.connection_bounds import ConnectionBounds
from app.http.server.connections import LOOK_EVERY_S
from app.http.server.loop import ServerLoop
from tests.app.serving import self_signed

pytestmark = pytest.mark.http
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    is_answering = False
    waiting_since = 0.0
    transport: asyncio.Transport
    on_lost: Callable[[], object]

    def look(self, now: float, bounds: ConnectionBounds) -> bool:
        return False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.waiting_since = asyncio.get_running_loop().time()

    def connection_lost(self, error: Exception | None) -> None:
        self.on_lost()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Server:
    """An echo server, and what its clients do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: list[asyncio.StreamWriter] = []

    async def connect(self, **how: Any) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, **how)
        self._clients.append(writer)
        return reader, writer

    async def echoed(self, **how: Any) -> Streams:
        """A connection that was admitted."""
        reader, writer = await self.connect(**how)
        writer.write(b"a")
        assert await asyncio.wait_for(reader.readexactly(1), 5) == b"a"
        return reader, writer

    async def refused(self) -> bytes:
        """What a connection that is not admitted gets until its end."""
        reader, _ = await self.connect()
        return await asyncio.wait_for(reader.read(), 5)

    async def end_all(self) -> None:
        await ended(*self._clients)


def with_server(use: Callable[[Server], Awaitable[None]], tls: ssl.SSLContext | None = None) -> None:
    """Run a server process's loop with an echo server until its use is over."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ServerLoop)
        listening = cast(asyncio.Server, await loop.create_server(Echo, "127.0.0.1", 0, ssl=tls))
        server = Server(listening.sockets[0].getsockname()[1])
        try:
            await use(server)
        finally:
            listening.close()
            await server.end_all()

    with asyncio.Runner(loop_factory=ServerLoop) as runner:
        runner.run(run())


async def ended(*writers: asyncio.StreamWriter) -> None:
    """These connections were closed, and the server has seen it."""
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.1)


async def stays_open(reader: asyncio.StreamReader) -> bool:
    """Does nothing come, nor the connection's end?"""
    try:
        await asyncio.wait_for(reader.read(), 0.3)
    except TimeoutError:
        return True
    return False


def test_one_address_has_so_many_connections_and_another_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(server: Server) -> None:
        *_, (_, writer) = [await server.echoed() for _ in range(3)]
        answer = await server.refused()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_many_connections"
        await server.echoed(local_addr=("127.0.0.2", 0))
        await ended(writer)
        await server.echoed()
        assert await server.refused()

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS_PER_ADDRESS", "3")
    with_server(use)


def test_beyond_all_places_the_one_that_has_waited_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(server: Server) -> None:
        first, _ = await server.echoed()
        await asyncio.sleep(0.05)
        for _ in range(3):
            await server.echoed()
        await asyncio.sleep(2 * LOOK_EVERY_S)  # until it is known who waits
        await server.echoed()
        assert await asyncio.wait_for(first.read(), 5) == b""

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS", "4")
    with_server(use)


def test_a_trusted_proxy_has_as_many_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(server: Server) -> None:
        for _ in range(5):
            await server.echoed()

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS_PER_ADDRESS", "1")
    monkeypatch.setenv("WORDSIGHT_TRUST_PROXY", "10.0.0.0/8, 127.0.0.1")
    with_server(use)


def test_connections_over_tls_are_counted_and_their_places_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=pem)

    async def use(server: Server) -> None:
        for _ in range(2):
            both = [await server.echoed(ssl=trust) for _ in range(2)]
            assert await server.refused() == b""
            await ended(*(writer for _, writer in both))

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS_PER_ADDRESS", "2")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    with_server(use, tls)


def test_a_client_that_speaks_no_tls_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(server: Server) -> None:
        for _ in range(3):
            reader, writer = await server.connect()
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await asyncio.wait_for(reader.read(), 5)
            await ended(writer)
        reader, _ = await server.connect()
        assert await stays_open(reader)

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS_PER_ADDRESS", "2")
    with_server(use, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_a_handshake_that_never_ends_takes_a_place_of_its_address_until_it_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def use(server: Server) -> None:
        silent = [await server.connect() for _ in range(2)]
        assert await server.refused() == b""
        await ended(*(writer for _, writer in silent))
        reader, _ = await server.connect()
        assert await stays_open(reader)

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS_PER_ADDRESS", "2")
    with_server(use, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_a_handshake_that_never_ends_makes_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(server: Server) -> None:
        first, _ = await server.connect()
        await asyncio.sleep(0.05)
        for _ in range(3):
            await server.connect()
        await asyncio.sleep(2 * LOOK_EVERY_S)
        last, _ = await server.connect()
        assert await asyncio.wait_for(first.read(), 5) == b""
        assert await stays_open(last)

    monkeypatch.setenv("WORDSIGHT_CONNECTIONS", "4")
    with_server(use, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
