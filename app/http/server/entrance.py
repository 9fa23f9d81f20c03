"""Where a new connection starts: it gets one of the places of `connections`, or is refused, before anything is read.

A TLS handshake takes a place too, so that clients that never finish one are bounded like all others.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import cast

from app.http.problems import raw_problem
from app.http.server.connections import Connection, Connections, Watched

_HANDSHAKE_S = 10.0
_REFUSAL = raw_problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_connections",
    "there are too many connections from this address, or in all",
    fix="use fewer, and keep them",
    headers={"Retry-After": "5"},
)
_log = logging.getLogger(__name__)


class Entrance(asyncio.Protocol):
    """The protocol of one new connection until another one takes over."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: Connections,
        make: Callable[[], Watched],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """A connection that is admitted gets a protocol of `make`."""
        self._loop, self._connections, self._make, self._tls = loop, connections, make, tls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        client = transport.get_extra_info("peername")
        if client is None:  # it closed the connection already
            transport.abort()
        elif self._connections.has_room(client[0]):
            self._admit(transport, client[0])
        else:
            if self._tls is None:
                transport.write(_REFUSAL)
            transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection was refused, or its TLS handshake goes on over a transport of its own."""

    def _admit(self, transport: asyncio.Transport, host: str) -> None:
        protocol = self._make()
        one = self._connections.add(host, protocol)
        protocol.on_lost = partial(self._connections.remove, one)
        if self._tls is None:
            transport.set_protocol(cast(asyncio.Protocol, protocol))
            protocol.connection_made(transport)
        else:
            connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            transport.abort()
            one.arriving = self._loop.create_task(self._handshake(connection, self._tls, one))

    async def _handshake(self, connection: socket.socket, tls: ssl.SSLContext, one: Connection) -> None:
        """`start_tls` would lose what the client sends before it is called: uvloop reads as soon as it has accepted."""
        protocol = cast(asyncio.Protocol, one.protocol)
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S
            )
        except (OSError, asyncio.CancelledError) as error:  # mostly a client that speaks no TLS
            connection.close()
            self._connections.remove(one)
            _log.debug("a connection ended before its TLS handshake: %s", error)
        one.arriving = None
