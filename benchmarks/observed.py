"""What `bench_observability` measures, in a process of its own; `servers.AS_SERVED` gives it the same threads.

`python -m benchmarks.observed PLAN.json` prints one JSON object; the plan is an `ObservedPlan`.
"""

import asyncio
import json
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from fastapi import FastAPI
from numpy.typing import NDArray

from app.asgi import opened
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.request_log import HELD_S, REQUESTS
from app.http.telemetry.tracing import open_tracing
from app.keys.service import Keys
from app.main import create_app
from app.settings import Settings
from app.state import State
from benchmarks.servers import SEARCH

SIDES = ("off", "off_again", "default", "logged", "traced")
WARM_ROUNDS = 2
_RESAMPLED = 2_000


@dataclass(frozen=True)
class ObservedPlan:
    """Over the collection `bench` of a home and a database, `there`: how many rounds and how many searches a turn, by
    how many are under way at once (`levels`), and where spans go. No query is asked twice."""

    there: dict[str, str]
    collector: str
    queries: list[str]
    levels: dict[str, tuple[int, int]]
    seed: int


class Nothing:
    """A gauge that keeps nothing."""

    def inc(self) -> None: ...

    def dec(self) -> None: ...


class Switched(Metrics):
    """Metrics that count nothing while they are told to; whether they are is asked on every side."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = True
        self._in_flight = self.in_flight

    def switch(self, *, on: bool) -> None:
        self._counts = on
        self.in_flight = self._in_flight if on else Nothing()  # type: ignore[assignment]

    def answered(self, route: str, status: int, seconds: float) -> None:
        if self._counts:
            super().answered(route, status, seconds)

    def batch_seen(self, size: int) -> None:
        if self._counts:
            super().batch_seen(size)

    def stage_took(self, stage: str, seconds: float) -> None:
        if self._counts:
            super().stage_took(stage, seconds)

    def searched(self, matches: str) -> None:
        if self._counts:
            super().searched(matches)

    def cache_hit(self, hit: bool) -> None:
        if self._counts:
            super().cache_hit(hit)


class Asked:
    """An app and the key to ask it with."""

    def __init__(self, app: FastAPI, key: str, metrics: Switched) -> None:
        self.app, self.key, self.metrics = app, key, metrics
        self._sampler = app.state.wordsight.service.retriever.sampler
        self._offer = self._sampler.offer

    def switch(self, *, on: bool) -> None:
        """Let it be observed, or not."""
        self.metrics.switch(on=on)
        self._sampler.offer = self._offer if on else _unsampled


def _unsampled(*_search: object) -> None: ...


@dataclass(frozen=True)
class Side:
    """One way to be observed; `level` is that of the request log."""

    asked: Asked
    level: int
    on: bool = True


async def measure(plan: ObservedPlan) -> dict[str, Any]:
    """By concurrency and side: milliseconds a search, its ratio to that unobserved and the interval of its median."""
    async with AsyncExitStack() as stack:
        one = await _asked(stack, plan.there)
        traced = await _traced(stack, plan.there, one, plan.collector)
        silent = Side(one, logging.CRITICAL, on=False)
        observed = (Side(one, logging.ERROR), Side(one, logging.INFO), Side(traced, logging.ERROR))
        sides = dict(zip(SIDES, (silent, silent, *observed), strict=True))
        queries = iter(plan.queries)
        return {
            level: await _rounds(sides, int(level), rounds, count, queries, plan.seed)
            for level, (rounds, count) in plan.levels.items()
        }


async def _asked(stack: AsyncExitStack, there: Mapping[str, str]) -> Asked:
    metrics, config = Switched(), _config(there)
    app = create_app(lambda: opened(config, metrics), metrics, config.max_concurrent)
    await stack.enter_async_context(app.router.lifespan_context(app))
    state = app.state.wordsight
    key, _ = await Keys(state.catalog, state.secret).create("bench", "search")
    return Asked(app, key, metrics)


async def _traced(stack: AsyncExitStack, there: Mapping[str, str], asked: Asked, collector: str) -> Asked:
    """The same server behind a door that traces: another encoder would take the cache from the first."""

    @asynccontextmanager
    async def same() -> AsyncIterator[State]:
        yield asked.app.state.wordsight

    config = _config(there)
    tracing = open_tracing(collector, config.traces_share)
    app = create_app(same, asked.metrics, config.max_concurrent, tracing=tracing)
    await stack.enter_async_context(app.router.lifespan_context(app))
    return Asked(app, asked.key, asked.metrics)


def _config(there: Mapping[str, str]) -> Settings:
    return Settings.model_validate({**there, "WORDSIGHT_REQUESTS_PER_KEY": 1e9, "WORDSIGHT_MAX_CONCURRENT": 64})


async def _rounds(
    sides: Mapping[str, Side], level: int, rounds: int, count: int, queries: Iterator[str], seed: int
) -> dict[str, Any]:
    dice = random.Random(seed)
    took: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + WARM_ROUNDS):
        for name in dice.sample(list(sides), len(sides)):
            took[name].append(await _turn(sides[name], list(islice(queries, count)), level))
    seconds = {name: np.array(turns[WARM_ROUNDS:]) for name, turns in took.items()}
    unobserved = (seconds["off"] + seconds["off_again"]) / 2
    return {name: _told(seconds[name], unobserved, count, seed) for name in sides}


async def _turn(side: Side, queries: list[str], at_once: int) -> float:
    """Seconds of the process's cores to answer all of these, and to write the lines it held: what else the machine does
    adds little to them, nor does waiting."""
    logging.getLogger(REQUESTS).setLevel(side.level)
    side.asked.switch(on=side.on)
    bodies = iter([json.dumps({"query": query, "k": 10}).encode() for query in queries])

    async def client() -> None:
        for body in bodies:
            await _ask(side.asked, body)

    started = time.process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    await asyncio.sleep(2 * HELD_S)
    return time.process_time() - started


async def _ask(asked: Asked, body: bytes) -> None:
    headers = [(b"authorization", f"Bearer {asked.key}".encode()), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
    scope |= {"scheme": "http", "path": SEARCH, "raw_path": SEARCH.encode(), "query_string": b"", "root_path": ""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    seen: list[int] = []
    await asked.app(scope, partial(_body, body), partial(_status, seen))
    assert seen == [200], seen


async def _body(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


async def _status(seen: list[int], message: Mapping[str, Any]) -> None:
    if message["type"] == "http.response.start":
        seen.append(message["status"])


def _told(took: NDArray[np.float64], unobserved: NDArray[np.float64], count: int, seed: int) -> dict[str, Any]:
    ratios = took / unobserved
    drawn = np.random.default_rng(seed).choice(ratios, (_RESAMPLED, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return {
        "ms_a_search": round(float(np.median(took)) * 1_000 / count, 3),
        "times_off": round(float(np.median(ratios)), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
    }


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """The request log written to a file, formatted as the server does."""
    log, before = logging.getLogger(REQUESTS), logging.getLogger(REQUESTS).handlers
    with file.open("w") as stream:
        log.handlers, log.propagate = [logging.StreamHandler(stream)], False
        try:
            yield
        finally:
            log.handlers = before


def main(file: str) -> None:
    plan = ObservedPlan(**json.loads(Path(file).read_text()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, logged_to(Path(os.devnull)):
        print(json.dumps(runner.run(measure(plan))))


if __name__ == "__main__":
    main(sys.argv[1])
