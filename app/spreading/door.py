"""The door of a server process: connections come in as long as `app.http.server.connections` has room for them.

Where several processes share the socket and another one has fewer connections, it goes first: a loop that takes all who
wait takes whole bursts. Of 32 connections that are kept, one process may get 29, and its core is then the pace of the
server while another idles.
"""

import asyncio
import contextlib
import logging
import select
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from app.http.server.connections import LOOK_EVERY_S, Connection, Connections, Watched
from app.spreading.crowd import Alone, Crowd

COURTESY = timedelta(milliseconds=200)
"""So long another process is let go first: one that hangs keeps nobody waiting for longer."""
_AT_ONCE = 16
"""So many may come in before those that are in are served again: in a crowd, the last one must not wait for all."""
_PAUSE_S = 0.001
_FULL_S = 0.1
"""How long nobody is let in where the system has no room for another connection."""
_HANDSHAKE_S = 10.0
_REFUSAL_BODY = (
    b'{"type": "about:blank", "title": "Too Many Requests", "status": 429, "code": "too_many_connections", '
    b'"detail": "there are too many connections from this address, or in all", "fix": "use fewer, and keep them"}'
)
_REFUSAL = (
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_REFUSAL_BODY), _REFUSAL_BODY)
)
_log = logging.getLogger(__name__)
MakeProtocol = Callable[[], Watched]


class Door:
    """Lets connections in until it is closed; what `loop.create_server` gives, as far as a server uses it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make: MakeProtocol,
        crowd: Crowd | Alone,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`listening` is bound; each connection gets a protocol of `make`."""
        self._loop, self._make, self._crowd, self._tls = loop, make, crowd, tls
        self._connections = connections
        self._listening = listening
        self._coming: set[asyncio.Task[None]] = set()
        self._courteous_since: float | None = None
        self._again: asyncio.TimerHandle | None = None
        self._waiting = select.poll()
        self._waiting.register(listening, select.POLLIN)

    @property
    def listening(self) -> socket.socket:
        return self._listening

    def open(self, backlog: int) -> None:
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._listen()

    def close(self) -> None:
        """Let nobody in any more; who is in stays. The others wait for this process no more."""
        self._crowd.leave()
        if self._again is not None:
            self._again.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._waiting.unregister(self._listening)
            self._listening.close()

    async def wait_closed(self) -> None:
        """Nothing of it outlives `close` but those who are on their way in."""
        await asyncio.gather(*self._coming)

    def _listen(self) -> None:
        self._again = None
        if self._listening.fileno() >= 0:
            self._forget_who_is_in()
            self._loop.add_reader(self._listening.fileno(), self._knocked)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._again = self._loop.call_later(seconds, self._listen)

    def _knocked(self) -> None:
        for _ in range(_AT_ONCE):
            if self._crowd.has_more_than_another() and self._is_courteous():
                self._pause(_PAUSE_S)
                return
            if not self._let_in():
                return
            self._forget_who_is_in()

    def _forget_who_is_in(self) -> None:
        """Courtesy begins anew with the next connection, unless another waits already."""
        if not self._waiting.poll(0):
            self._courteous_since = None

    def _is_courteous(self) -> bool:
        """Has another process had less time than it is given to let in who waits?"""
        if self._courteous_since is None:
            self._courteous_since = self._loop.time()
        return self._loop.time() - self._courteous_since < COURTESY.total_seconds()

    def _let_in(self) -> bool:
        """Let one connection in, or refuse it; says whether one waited."""
        try:
            connection, (host, *_) = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            _log.error("no connection can be let in for a moment: %s", error)
            self._pause(_FULL_S)
            return False
        connection.setblocking(False)
        if not self._connections.has_room(host):
            self._refuse(connection)
            return True
        self._crowd.came()
        one = self._connections.add(host, self._make())
        one.arriving = self._loop.create_task(self._welcome(connection, one))
        self._coming.add(one.arriving)
        one.arriving.add_done_callback(self._coming.discard)
        return True

    def _refuse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is None:
                connection.send(_REFUSAL)

    async def _welcome(self, connection: socket.socket, one: Connection) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lost = one.protocol.connection_lost

        def went(exc: Exception | None) -> None:
            self._went(one)
            lost(exc)

        one.protocol.connection_lost = went  # type: ignore[method-assign]
        handshake_s = None if self._tls is None else _HANDSHAKE_S
        protocol = cast(asyncio.Protocol, one.protocol)
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        except (OSError, asyncio.CancelledError) as error:  # mostly a client that speaks no TLS
            connection.close()
            self._went(one)
            _log.debug("a connection went before it was in: %s", error)
        one.arriving = None

    def _went(self, one: Connection) -> None:
        if self._connections.remove(one):
            self._crowd.went()


def looking_after(loop: asyncio.AbstractEventLoop, connections: Connections, is_open: Callable[[], bool]) -> None:
    """Look at the connections now and then, as long as the server is open or some are left."""
    connections.look()
    if is_open() or len(connections):
        loop.call_later(LOOK_EVERY_S, looking_after, loop, connections, is_open)
