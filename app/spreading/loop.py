"""The event loop of one of several server processes: its listening socket has a `Door`.

uvicorn takes it as `loop="app.spreading.loop:SpreadingLoop"`.
"""

import os
import socket
import ssl
from pathlib import Path
from typing import Any

import uvloop

from app.metrics import MULTIPROCESS
from app.spreading.crowd import Crowd
from app.spreading.door import Door, MakeProtocol, counted


class SpreadingLoop(uvloop.Loop):
    """uvloop, where a server on a given socket shares it fairly with the other processes."""

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: MakeProtocol,
        *,
        sock: socket.socket,
        ssl: ssl.SSLContext | None = None,
        backlog: int = 100,
    ) -> Any:
        """What uvicorn asks for where it runs several processes."""
        crowd = Crowd(Path(os.environ[MULTIPROCESS]))
        door = Door(self, sock, counted(protocol_factory, crowd), crowd, ssl)
        door.open(backlog)
        return door
