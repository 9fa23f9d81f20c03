"""The event loop of a server process. It accepts as uvloop does, and bounds the connections it has accepted.

uvicorn takes it as `loop="app.http.server.loop:ServerLoop"`.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import uvloop

from app.http.server.connection_bounds import ConnectionBounds
from app.http.server.connections import LOOK_EVERY_S, Connections, Watched
from app.http.server.entrance import Entrance
from app.settings import Settings

_OTHER_FILES = 256
"""Files that a process has open besides connections."""


class ServerLoop(uvloop.Loop):
    """uvloop, where each connection of a server starts at an `Entrance`."""

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], Watched],
        host: str | None = None,
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        ssl: ssl.SSLContext | None = None,
        backlog: int = 100,
    ) -> asyncio.AbstractServer:
        """A server on a socket that several processes share, or at an address, as uvicorn asks for it."""
        bounds = ConnectionBounds.of(Settings())
        files = allow_files(bounds.total + _OTHER_FILES)
        bounds = replace(bounds, total=min(bounds.total, max(1, files - _OTHER_FILES)))
        connections = Connections(bounds, self.time)
        where: dict[str, Any] = {"host": host, "port": port} if sock is None else {"sock": sock}
        server = await super().create_server(
            lambda: Entrance(self, connections, protocol_factory, ssl), backlog=backlog, **where
        )
        _inspect_regularly(self, connections, server.is_serving)
        return server


def _inspect_regularly(loop: asyncio.AbstractEventLoop, connections: Connections, is_open: Callable[[], bool]) -> None:
    """Inspect the connections now and then, as long as the server is open or some are left."""
    connections.look()
    if is_open() or len(connections):
        loop.call_later(LOOK_EVERY_S, _inspect_regularly, loop, connections, is_open)


def allow_files(wanted: int) -> int:
    """Let this process open so many files, as far as the system allows it; returns how many it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
