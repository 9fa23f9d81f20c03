"""A load generator that costs little: HTTP/1.1 on kept connections, by hand, in a process of its own.

`python -m benchmarks.load PLAN.json` prints one JSON object; the plan is a `Plan`.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import uvloop

_LINE = b"\r\n"
_END = _LINE * 2
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n")


@dataclass(frozen=True)
class Plan:
    """`concurrency` clients send `bodies` in turn, each the next as soon as it has its answer, for `seconds`."""

    port: int
    path: str
    bodies: list[str]
    concurrency: int
    seconds: float
    warm_up_s: float = 1.0
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """What came back: answers a second, milliseconds at the 50th and 99th percentile, answers by status."""

    per_second: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]


async def measure(plan: Plan) -> Pace:
    """Run a closed loop. Answers during the warm-up are not counted."""
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + plan.warm_up_s + plan.seconds
    taken: list[tuple[float, float, int]] = []
    requests = itertools.cycle(request_bytes(plan.method, plan.path, plan.headers, body) for body in plan.bodies)
    clients = [Client(requests, taken, until, loop.create_future()) for _ in range(plan.concurrency)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", plan.port)  # type: ignore[misc]
    await asyncio.gather(*(client.over for client in clients))
    counted = [one for one in taken if until - plan.seconds <= one[1] <= until]
    return _pace(counted, plan.seconds)


class Client(asyncio.Protocol):
    """Sends a request as soon as it has the answer to the one before, until the time is over."""

    def __init__(
        self,
        requests: Iterator[bytes],
        taken: list[tuple[float, float, int]],
        until: float,
        over: "asyncio.Future[None]",
    ) -> None:
        """`taken` gets when each was sent and answered, in seconds, and its status."""
        self.over = over
        self._requests = requests
        self._taken = taken
        self._until = until
        self._came = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head = whole_answer(self._came)
        if head is None:
            return
        now = time.perf_counter()
        self._taken.append((self._began, now, status_of(head)))
        self._came.clear()
        if now < self._until:
            self._send()
        else:
            self.over.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(error or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


def whole_answer(came: bytearray) -> bytes | None:
    """The head, in small letters, of an answer with a Content-Length; None where it is not whole yet."""
    end = came.find(_END)
    if end < 0:
        return None
    head = bytes(came[: end + len(_LINE)]).lower()
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError("an answer without Content-Length")
    return head if len(came) >= end + len(_END) + int(length[1]) else None


def status_of(head: bytes) -> int:
    return int(head[9:12])


def _pace(counted: list[tuple[float, float, int]], seconds: float) -> Pace:
    good = np.array([end - began for began, end, status in counted if status == 200]) * 1_000
    p50, p99 = np.percentile(good, [50, 99]) if len(good) else (0.0, 0.0)
    statuses: dict[str, int] = {}
    for *_, status in counted:
        statuses[str(status)] = statuses.get(str(status), 0) + 1
    return Pace(round(len(good) / seconds, 1), round(float(p50), 2), round(float(p99), 2), statuses)


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: str) -> bytes:
    """A whole request; of a GET the body is the end of its address."""
    lines = [f"{method} {path if method == 'POST' else path + body} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    payload = body.encode() if method == "POST" else b""
    lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}", "", ""]
    return "\r\n".join(lines).encode() + payload


def main(file: str) -> None:
    plan = Plan(**json.loads(Path(file).read_text()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(measure(plan)))))


if __name__ == "__main__":
    main(sys.argv[1])
