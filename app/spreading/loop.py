"""The event loop of a server process: its listening sockets have a `Door`, which several processes share fairly.

uvicorn takes it as `loop="app.spreading.loop:ServerLoop"`.
"""

import os
import resource
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import uvloop

from app.http.server.connection_bounds import ConnectionBounds
from app.http.server.connections import Connections
from app.http.telemetry.metrics import MULTIPROCESS
from app.settings import Settings
from app.spreading.crowd import Alone, Crowd
from app.spreading.door import Door, MakeProtocol, looking_after

_FILES_BESIDE = 256
"""Files that a process has open besides connections."""


class Doors:
    """The doors of a server's sockets, as `loop.create_server` gives them."""

    def __init__(self, doors: list[Door]) -> None:
        self._doors = doors
        self._is_open = True

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(door.listening for door in self._doors)

    def is_open(self) -> bool:
        return self._is_open

    def close(self) -> None:
        self._is_open = False
        for door in self._doors:
            door.close()

    async def wait_closed(self) -> None:
        for door in self._doors:
            await door.wait_closed()


class ServerLoop(uvloop.Loop):
    """uvloop, where a server lets its connections in through doors."""

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: MakeProtocol,
        host: str | None = None,
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        ssl: ssl.SSLContext | None = None,
        backlog: int = 100,
    ) -> Doors:
        """What uvicorn asks for: on a socket that several processes share, or at an address."""
        folder = os.environ.get(MULTIPROCESS)
        crowd = Alone() if folder is None else Crowd(Path(folder))
        bounds = ConnectionBounds.of(Settings())
        files = allow_files(bounds.total + _FILES_BESIDE)
        bounds = replace(bounds, total=min(bounds.total, max(1, files - _FILES_BESIDE)))
        sockets = [sock] if sock is not None else await self._bound(host, port)
        connections = Connections(bounds, self.time)
        doors = [Door(self, one, protocol_factory, crowd, connections, ssl) for one in sockets]
        for door in doors:
            door.open(backlog)
        opened = Doors(doors)
        looking_after(self, connections, opened.is_open)
        return opened

    async def _bound(self, host: str | None, port: int | None) -> list[socket.socket]:
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_bound_to(family, address) for family, _, _, _, address in sorted(set(found))]


def _bound_to(family: int, address: object) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)  # type: ignore[arg-type]
    except OSError:
        bound.close()
        raise
    return bound


def allow_files(wanted: int) -> int:
    """Let this process open so many files, as far as the system allows it; returns how many it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
