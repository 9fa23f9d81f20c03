"""Connections come in evenly, whoever is busy; one that hangs, or went, keeps nobody out."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.http.server.connection_bounds import ConnectionBounds, Proxies
from app.http.server.connections import Connections
from app.spreading.crowd import Crowd
from app.spreading.door import COURTESY, Door

pytestmark = pytest.mark.http


class Echo(asyncio.Protocol):
    is_answering = False
    waiting_since = 0.0
    transport: asyncio.Transport

    def look(self, now: float, bounds: ConnectionBounds) -> bool:
        return False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@asynccontextmanager
async def doors(
    folder: Path, *processes: int, tls: ssl.SSLContext | None = None, bounds: ConnectionBounds | None = None
) -> AsyncIterator[list[Crowd]]:
    """The crowds of several doors at one socket, which is the last thing that is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        crowds = [Crowd(folder, process) for process in processes]
        loop = asyncio.get_running_loop()
        shared = [socket.socket(fileno=os.dup(listening.fileno())) for _ in processes]
        opened = [
            Door(loop, mine, Echo, crowd, Connections(bounds or ConnectionBounds(), loop.time), tls)
            for mine, crowd in zip(shared, crowds, strict=True)
        ]
        for door in opened:
            door.open(100)
        try:
            folder.joinpath("port").write_text(str(listening.getsockname()[1]))
            yield crowds
        finally:
            for door, mine in zip(opened, shared, strict=True):
                door.close()
                await door.wait_closed()
                mine.close()


async def said_back(folder: Path) -> asyncio.StreamWriter:
    """A connection that was let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(folder.joinpath("port").read_text()))
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    return writer


async def gone(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)


async def test_a_burst_is_spread_evenly(tmp_path: Path) -> None:
    async with doors(tmp_path, os.getpid(), os.getppid()) as crowds:
        writers = await asyncio.gather(*(said_back(tmp_path) for _ in range(20)))
        assert [crowd.mine for crowd in crowds] == [10, 10]
        await gone(writers)
        assert [crowd.mine for crowd in crowds] == [0, 0]


async def test_who_hangs_keeps_others_waiting_for_a_moment_only(tmp_path: Path) -> None:
    Crowd(tmp_path, os.getppid())
    async with doors(tmp_path, os.getpid()) as (crowd,):
        loop = asyncio.get_running_loop()
        first = await said_back(tmp_path)
        began = loop.time()
        writers = [first, await said_back(tmp_path)]
        assert loop.time() - began > COURTESY.total_seconds() / 2
        assert crowd.mine == 2
        await gone(writers)


async def test_who_speaks_no_tls_is_not_counted(tmp_path: Path) -> None:
    async with doors(tmp_path, os.getpid(), tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as (crowd,):
        reader, writer = await asyncio.open_connection("127.0.0.1", int((tmp_path / "port").read_text()))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        await gone([writer])
        assert crowd.mine == 0


async def test_one_address_has_so_many_connections_and_another_has_its_own(tmp_path: Path) -> None:
    async with doors(tmp_path, os.getpid(), bounds=ConnectionBounds(per_address=3)) as (crowd,):
        writers = [await said_back(tmp_path) for _ in range(3)]
        port = int((tmp_path / "port").read_text())
        reader, refused = await asyncio.open_connection("127.0.0.1", port)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_many_connections"
        reader, other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        other.write(b"a")
        assert await reader.readexactly(1) == b"a"
        assert crowd.mine == 4
        await gone([writers.pop(), refused])
        await gone([*writers, other, await said_back(tmp_path)])
        assert crowd.mine == 0


async def test_a_trusted_proxy_has_as_many_as_it_wants(tmp_path: Path) -> None:
    bounds = ConnectionBounds(per_address=1, proxies=Proxies.parse("10.0.0.0/8, 127.0.0.1"))
    async with doors(tmp_path, os.getpid(), bounds=bounds):
        await gone([await said_back(tmp_path) for _ in range(5)])


async def test_a_handshake_that_never_ends_counts_and_is_ended_for_others(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with doors(tmp_path, os.getpid(), tls=tls, bounds=ConnectionBounds(per_address=2)) as (crowd,):
        port = int((tmp_path / "port").read_text())
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, refused = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        assert crowd.mine == 2
        await gone([refused, *(writer for _, writer in silent)])
        assert crowd.mine == 0
