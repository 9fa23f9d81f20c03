"""A load generator that costs little: HTTP/1.1 on kept connections, by hand, in a process of its own.

`python -m benchmarks.load PLAN.json` prints one JSON object; the plan is a `Plan`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np


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
    taken: list[tuple[float, float, int]] = []
    bodies = iter(range(10**9))
    start = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", plan.port)
        while (began := time.perf_counter()) < start + plan.warm_up_s + plan.seconds:
            body = plan.bodies[next(bodies) % len(plan.bodies)]
            writer.write(request_bytes(plan.method, plan.path, plan.headers, body))
            status, _ = await read_answer(reader)
            taken.append((began, time.perf_counter(), status))
        writer.close()

    await asyncio.gather(*(client() for _ in range(plan.concurrency)))
    counted = [one for one in taken if one[1] >= start + plan.warm_up_s]
    return _pace(counted, plan.seconds)


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


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and body of one answer with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length"))
    return int(head[0].split(" ")[1]), await reader.readexactly(length)


def main(file: str) -> None:
    plan = Plan(**json.loads(Path(file).read_text()))
    print(json.dumps(asdict(asyncio.run(measure(plan)))))


if __name__ == "__main__":
    main(sys.argv[1])
