"""A pooler in front of a real Postgres, as PgBouncer is one: it answers logins itself, with a process number that it
makes up, and lends server connections for a session or for a transaction, the one that came back last first."""

import secrets
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Message = tuple[bytes, bytes]
Mode = Literal["session", "transaction"]
_ENCRYPTION = {80877103, 80877104}
_ALLOWED = {"user", "database", "client_encoding", "application_name"}


class Wire:
    """Messages of the PostgreSQL protocol over a socket."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    def read(self) -> Message:
        kind = self._exactly(1)
        return kind, self._exactly(struct.unpack("!i", self._exactly(4))[0] - 4)

    def write(self, message: Message) -> None:
        kind, body = message
        self._raw.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def read_startup(self) -> dict[str, str]:
        while True:
            body = self._exactly(struct.unpack("!i", self._exactly(4))[0] - 4)
            if struct.unpack("!i", body[:4])[0] not in _ENCRYPTION:
                words = body[4:].rstrip(b"\0").decode().split("\0")
                return dict(zip(words[::2], words[1::2], strict=True))
            self._raw.sendall(b"N")

    def write_startup(self, parameters: dict[str, str]) -> None:
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
        self._raw.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)

    def close(self) -> None:
        self._raw.close()

    def until_ready(self) -> Iterator[Message]:
        while True:
            message = self.read()
            yield message
            if message[0] == b"Z":
                return

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = self._raw.recv(count - len(found))
            if not more:
                raise ConnectionError
            found += more
        return found


class Pooler:
    def __init__(self, server: Path, mode: Mode) -> None:
        self._server, self._mode = server, mode
        self._idle: list[Wire] = []
        self._greeting: list[Message] = []
        self._opened: list[Wire] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        for wire in self._opened:
            wire.close()

    def serve(self, raw: socket.socket) -> None:
        with suppress(ConnectionError):
            client = Wire(raw)
            parameters = client.read_startup()
            if strange := parameters.keys() - _ALLOWED:
                text = f"SFATAL\0C08P01\0Munsupported startup parameter: {min(strange)}\0\0"
                client.write((b"E", text.encode()))
                return
            with self._lock:
                if not self._greeting:
                    self._idle.append(self._connect(parameters))
            for message in self._greeting:
                client.write(message)
            client.write((b"K", secrets.token_bytes(8)))
            client.write((b"Z", b"I"))
            self._relay(client, parameters)

    def _connect(self, parameters: dict[str, str]) -> Wire:
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(self._server / ".s.PGSQL.5432"))
        wire = Wire(raw)
        self._opened.append(wire)
        wire.write_startup(parameters)
        self._greeting = [message for message in wire.until_ready() if message[0] in {b"R", b"S"}]
        return wire

    def _relay(self, client: Wire, parameters: dict[str, str]) -> None:
        server: Wire | None = None
        while True:
            message = client.read()
            if message[0] == b"X":
                return
            if server is None:
                with self._lock:
                    server = self._idle.pop() if self._idle else self._connect(parameters)
            server.write(message)
            if message[0] not in {b"Q", b"S"}:
                continue
            for answer in server.until_ready():
                client.write(answer)
            if answer[1] == b"I" and self._mode == "transaction":
                with self._lock:
                    self._idle.append(server)
                server = None


@contextmanager
def pooled(server: Path, mode: Mode) -> Iterator[int]:
    """The port of a pooler in front of the Postgres whose socket is in a folder."""
    pooler = Pooler(server, mode)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            pooler.serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield int(listening.server_address[1])
        finally:
            listening.shutdown()
            pooler.close()
