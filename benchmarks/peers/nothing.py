"""A server that answers every request with the same few kilobytes: what a load generator can send at most."""

import asyncio
import os

import uvloop

BODY = b"x" * 8_000
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Nothing(asyncio.Protocol):
    """Takes one small request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Nothing, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(serve())
