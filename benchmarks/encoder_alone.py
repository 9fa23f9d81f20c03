"""What the encoder does without a server, in a process of its own; `servers.AS_SERVED` gives it the same threads.

`python -m benchmarks.encoder_alone PLAN.json` prints one JSON object; the plan is an `AlonePlan`.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import uvloop

from indexer.encoding.encoder import Encoder
from indexer.encoding.micro_batch import MicroBatcher
from indexer.encoding.serving import Runtime, load_encoder
from scenes.host.processes import cores

_AT_ONCE = 32
_TOGETHER = 512
"""Texts given to the encoder at a time: enough for batches of 32 texts of one length on every core."""


@dataclass(frozen=True)
class AlonePlan:
    """Which queries, for how long each way, in which precision."""

    queries: list[str]
    seconds: float
    runtime: Runtime = "auto"


def measure(plan: AlonePlan) -> dict[str, float]:
    """Queries a second in full batches on all cores, and for 32 callers at once that share batches as searches do."""
    with tempfile.TemporaryDirectory() as home:
        encoder = load_encoder(None, Path(home), runtime=plan.runtime)
    encoder.encode_queries(plan.queries[:_TOGETHER])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        at_once = runner.run(_at_once(encoder, cycle(plan.queries), plan.seconds))
    return {"batches": _in_batches(encoder, plan), "at_32": at_once}


def _in_batches(encoder: Encoder, plan: AlonePlan) -> float:
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < plan.seconds:
        part = plan.queries[count % (len(plan.queries) - _TOGETHER) :][:_TOGETHER]
        encoder.encode_queries(part)
        count += len(part)
    return round(count / (time.perf_counter() - started), 1)


async def _at_once(encoder: Encoder, queries: Iterator[str], seconds: float) -> float:
    batcher = MicroBatcher(lambda texts: list(encoder.encode_queries(texts).vectors), runners=cores())
    started, count = time.perf_counter(), 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() - started < seconds:
            await batcher.do(next(queries))
            count += 1

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    batcher.close()
    return round(count / (time.perf_counter() - started), 1)


def main(file: str) -> None:
    print(json.dumps(measure(AlonePlan(**json.loads(Path(file).read_text())))))


if __name__ == "__main__":
    main(sys.argv[1])
