"""The door of a server process that shares its socket with others: one connection at a time, and where another process
has fewer, it goes first.

A loop that takes all who wait takes whole bursts: of 32 connections that are kept, one process may get 29, and its core
is then the pace of the server while another idles.
"""

import asyncio
import logging
import select
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from app.spreading.crowd import Crowd

COURTESY = timedelta(milliseconds=200)
"""So long another process is let go first: one that hangs keeps nobody waiting for longer."""
_PAUSE_S = 0.001
_FULL_S = 0.1
"""How long nobody is let in where the system has no room for another connection."""
_log = logging.getLogger(__name__)
MakeProtocol = Callable[[], asyncio.Protocol]


class Door:
    """Lets connections in until it is closed; what `loop.create_server` gives, as far as a server uses it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make: MakeProtocol,
        crowd: Crowd,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`listening` is bound; each connection gets a protocol of `make` that tells the crowd when it went."""
        self._loop, self._make, self._crowd, self._tls = loop, make, crowd, tls
        self._listening = listening
        self._coming: set[asyncio.Task[None]] = set()
        self._courteous_since: float | None = None
        self._again: asyncio.TimerHandle | None = None
        self._waiting = select.poll()
        self._waiting.register(listening, select.POLLIN)

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
        if self._crowd.has_more_than_another() and self._is_courteous():
            self._pause(_PAUSE_S)
        else:
            self._let_in()
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

    def _let_in(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.error("no connection can be let in for a moment: %s", error)
            self._pause(_FULL_S)
            return
        self._crowd.came()
        coming = self._loop.create_task(self._welcome(connection))
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def _welcome(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(self._make, connection, ssl=self._tls)
        except (OSError, asyncio.CancelledError) as error:  # mostly a client that speaks no TLS
            connection.close()
            self._crowd.went()
            _log.debug("a connection went before it was in: %s", error)


def counted(make: MakeProtocol, crowd: Crowd) -> MakeProtocol:
    """Protocols that tell the crowd when their connection went."""
    return partial(_counted, make, crowd)


def _counted(make: MakeProtocol, crowd: Crowd) -> asyncio.Protocol:
    protocol = make()
    lost = protocol.connection_lost

    def went(exc: Exception | None) -> None:
        crowd.went()
        lost(exc)

    protocol.connection_lost = went  # type: ignore[method-assign]
    return protocol
