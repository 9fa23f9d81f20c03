"""An open loop: requests leave by the clock, whether or not earlier ones were answered, as a crowd's do.

Arrivals are random (exponential gaps, seeded); times count from the moment a request should have left, so that a
server that is late can't hide it. Connections are kept and bounded; an arrival that finds none is counted as unsent.
`python -m benchmarks.open_load PLAN.json` prints one JSON object; the plan is an `OpenPlan`.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import request_bytes, status_of, whole_answer

_PATIENCE_S = 5.0
_LATE_MS = 20.0


@dataclass(frozen=True)
class OpenPlan:
    """`steps` are (arrivals a second, seconds), one after the other without a pause."""

    port: int
    path: str
    bodies: list[str]
    steps: list[tuple[float, float]]
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 400
    seed: int = 1


@dataclass(frozen=True)
class StepTold:
    """What became of one step's arrivals. `late_share` of them left over 20 ms late: the generator was too slow.

    `seconds` has for each second of the step how many were answered and refused, and the slowest answer in ms.
    """

    offered_per_second: float
    accepted_per_second: float
    statuses: dict[str, int]
    unsent: int
    broken: int
    without_retry_after: int
    p50_ms: float
    p99_ms: float
    late_share: float
    seconds: list[tuple[int, int, float]]


@dataclass(slots=True)
class _Sent:
    """`due`, `left` and `back` in seconds since the start; `status` 0 while there is no answer."""

    due: float
    left: float
    back: float = 0.0
    status: int = 0
    retry_after: bool = False


class _Connection(asyncio.Protocol):
    """One request at a time; `free` is told when it can take the next."""

    def __init__(self, free: Callable[["_Connection"], None], clock: Callable[[], float]) -> None:
        self._free = free
        self._clock = clock
        self._read = bytearray()
        self._sent: _Sent | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, sent: _Sent) -> None:
        assert self._transport is not None
        self._sent = sent
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = whole_answer(self._read)
        if head is None:
            return
        if self._sent is not None:
            self._sent.status = status_of(head)
            self._sent.retry_after = b"\r\nretry-after:" in head
            self._sent.back = self._clock()
        self._read.clear()
        self._sent = None
        self._free(self)


class _Run:
    """One plan under way."""

    def __init__(self, plan: OpenPlan) -> None:
        self._plan = plan
        self._requests = [request_bytes("POST", plan.path, plan.headers, body) for body in plan.bodies]
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._start = 0.0
        self._next = 0

    def _clock(self) -> float:
        return time.perf_counter() - self._start

    async def connect(self, how_many: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(how_many):
            await loop.create_connection(
                lambda: _Connection(self._idle.append, self._clock), "127.0.0.1", self._plan.port
            )

    async def steps(self) -> list[StepTold]:
        self._start = time.perf_counter()
        dice = np.random.default_rng(self._plan.seed)
        told, begin = [], 0.0
        for per_second, seconds in self._plan.steps:
            gaps = dice.exponential(1 / per_second, int(per_second * seconds * 1.2) + 100)
            due = begin + np.cumsum(gaps)
            told.append(await self._step(due[due < begin + seconds].tolist()))
            begin += seconds
        await asyncio.sleep(_PATIENCE_S)
        return [
            _told(sent, unsent, begin_of, seconds)
            for (sent, unsent), begin_of, (_, seconds) in zip(told, _begins(self._plan), self._plan.steps, strict=True)
        ]

    async def _step(self, due: list[float]) -> tuple[list[_Sent], int]:
        """The requests that left, and how many could not."""
        sent: list[_Sent] = []
        unsent = 0
        for at in due:
            if (wait := at - self._clock()) > 0:
                await asyncio.sleep(wait)
            connection = await self._connection()
            if connection is None:
                unsent += 1
                continue
            now = self._clock()
            one = _Sent(min(at, now), now)
            sent.append(one)
            connection.send(self._requests[self._next % len(self._requests)], one)
            self._next += 1
            if not len(sent) % 20:
                await asyncio.sleep(0)
        return sent, unsent

    async def _connection(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
            await self.connect(1)
        return None


def _begins(plan: OpenPlan) -> list[float]:
    lengths = [seconds for _, seconds in plan.steps]
    return [sum(lengths[:place]) for place in range(len(lengths))]


def _told(sent: list[_Sent], unsent: int, begin: float, seconds: float) -> StepTold:
    took = np.array([one.back - one.due for one in sent if one.status == 200]) * 1_000
    p50, p99 = np.percentile(took, [50, 99]) if len(took) else (0.0, 0.0)
    refused = [one for one in sent if one.status == 429]
    late = sum((one.left - one.due) * 1_000 > _LATE_MS for one in sent)
    return StepTold(
        offered_per_second=round((len(sent) + unsent) / seconds, 1),
        accepted_per_second=round(len(took) / seconds, 1),
        statuses=dict(Counter(str(one.status) for one in sent if one.status)),
        unsent=unsent,
        broken=sum(not one.status for one in sent),
        without_retry_after=sum(not one.retry_after for one in refused),
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
        late_share=round(late / max(1, len(sent)), 5),
        seconds=_by_second(sent, begin, int(seconds)),
    )


def _by_second(sent: list[_Sent], begin: float, seconds: int) -> list[tuple[int, int, float]]:
    rows = [[0, 0, 0.0] for _ in range(seconds + 1)]
    for one in sent:
        row = rows[min(seconds, int(one.due - begin))]
        if one.status == 200:
            row[0] += 1
            row[2] = max(row[2], (one.back - one.due) * 1_000)
        elif one.status:
            row[1] += 1
    return [(int(good), int(refused), round(slowest, 1)) for good, refused, slowest in rows[:seconds]]


async def measure(plan: OpenPlan) -> list[StepTold]:
    """Run all steps of a plan."""
    run = _Run(plan)
    await run.connect(plan.connections)
    return await run.steps()


def main(file: str) -> None:
    import uvloop

    plan: dict[str, Any] = json.loads(Path(file).read_text())
    plan["steps"] = [tuple(step) for step in plan["steps"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps([asdict(one) for one in runner.run(measure(OpenPlan(**plan)))]))


if __name__ == "__main__":
    main(sys.argv[1])
