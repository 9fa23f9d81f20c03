"""What being observed costs a search: the same app with its instruments and without, in turn, in one process.

Four apps over one collection answer the same distinct queries, no network between: `off` with metrics that count
nothing and no recall samples; `default` as it is started; `logged` with a line for every request besides; `traced`
with OpenTelemetry spans sent to a collector besides, which nobody has who does not ask for it. All take their turn in
every round, in an order drawn for it; a round gives each one's time as a ratio to `off`, and the median is judged.
"""

import asyncio
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from app.asgi import opened
from app.keys.service import Keys
from app.main import create_app
from app.metrics import Metrics
from app.settings import Settings
from app.tracing import open_tracing
from app.watch import REQUESTS
from benchmarks import recording
from benchmarks.servers import SEARCH, imported, served
from indexer.made_up_scenes import corpus
from scenes.catalog.embedded import postgres

NAME = "bench_observability"
MEASURED = (
    "app",
    "indexer",
    "scenes",
    "benchmarks/bench_observability.py",
    "indexer/made_up_scenes.py",
    "benchmarks/servers.py",
)
SEED = 20_261_126
ROUNDS = int(os.environ.get("BENCH_OBSERVABILITY_ROUNDS", "101"))
ASKED = {1: 24, 16: 128}
"""Searches a turn, by how many are under way at once."""
BAR = 1.03
JUDGED = ("default", "logged")
_WARM_ROUNDS = 2
_RESAMPLED = 2_000


class Nothing:
    """A gauge that keeps nothing."""

    def inc(self) -> None: ...

    def dec(self) -> None: ...


class Silent(Metrics):
    """Metrics that count nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight = Nothing()  # type: ignore[assignment]

    def answered(self, route: str, status: int, seconds: float) -> None: ...

    def batch_seen(self, size: int, seconds: float) -> None: ...

    def stage_took(self, stage: str, seconds: float) -> None: ...

    def searched(self, matches: str) -> None: ...

    def cache_hit(self, hit: bool) -> None: ...


@dataclass(frozen=True)
class Side:
    """One app; `level` is that of its request log."""

    app: FastAPI
    key: str
    level: int


def main() -> None:
    """Raises `AssertionError` where the bar is missed, after the figures were recorded."""
    turns = (ROUNDS + _WARM_ROUNDS) * sum(ASKED.values())
    texts = corpus(1_278, turns, SEED)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, logged_to(Path(os.devnull)):
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir(mode=0o755)
        with postgres(home, None) as url, served("sink", os.environ, "/") as collector:
            there = {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
            imported(os.environ | there, home, texts.documents, "bench")
            figures = asyncio.run(measure(there, f"http://127.0.0.1:{collector}/v1/traces", texts.queries))
    figures |= {"rounds": ROUNDS, "searches_a_turn": ASKED, "bar": BAR, "judged": JUDGED, "load": os.getloadavg()}
    figures["missed"] = missed(figures)
    print(json.dumps(figures, indent=1))
    recording.record(NAME, figures, measured=MEASURED, seed=SEED)
    assert not figures["missed"], figures["missed"]


async def measure(there: Mapping[str, str], collector: str, queries: list[str]) -> dict[str, Any]:
    """By concurrency and side: milliseconds a search, and its ratio to `off` with the interval of its median."""
    async with AsyncExitStack() as stack:
        sides = {
            "off": await _side(stack, there | {"WORDSIGHT_RECALL_SAMPLE_EVERY": "0"}, Silent(), logging.CRITICAL),
            "default": await _side(stack, there, Metrics(), logging.ERROR),
            "logged": await _side(stack, there, Metrics(), logging.INFO),
            "traced": await _side(stack, there, Metrics(), logging.ERROR, collector),
        }
        return {str(level): await _rounds(sides, level, count, queries) for level, count in ASKED.items()}


async def _side(
    stack: AsyncExitStack, there: Mapping[str, str], metrics: Metrics, level: int, collector: str | None = None
) -> Side:
    config = Settings.model_validate({**there, "WORDSIGHT_REQUESTS_PER_KEY": 1e9, "WORDSIGHT_MAX_CONCURRENT": 64})
    app = create_app(lambda: opened(config, metrics), metrics, config.max_concurrent, (), open_tracing(collector))
    await stack.enter_async_context(app.router.lifespan_context(app))
    state = app.state.wordsight
    key, _ = await Keys(state.catalog, state.secret).create("bench", "search")
    return Side(app, key, level)


async def _rounds(sides: Mapping[str, Side], level: int, count: int, queries: list[str]) -> dict[str, Any]:
    dice = random.Random(SEED)
    at = 0 if level == min(ASKED) else (ROUNDS + _WARM_ROUNDS) * ASKED[min(ASKED)]
    took: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + _WARM_ROUNDS):
        for name in dice.sample(list(sides), len(sides)):
            took[name].append(await _turn(sides[name], queries[at : at + count], level))
        at += count
    return {name: _told(took[name][_WARM_ROUNDS:], took["off"][_WARM_ROUNDS:], count) for name in sides}


async def _turn(side: Side, queries: list[str], at_once: int) -> float:
    """Seconds to answer all of these."""
    logging.getLogger(REQUESTS).setLevel(side.level)
    bodies = iter([json.dumps({"query": query, "k": 10}).encode() for query in queries])

    async def client() -> None:
        for body in bodies:
            await _ask(side, body)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return time.perf_counter() - started


async def _ask(side: Side, body: bytes) -> None:
    headers = [(b"authorization", f"Bearer {side.key}".encode()), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
    scope |= {"scheme": "http", "path": SEARCH, "raw_path": SEARCH.encode(), "query_string": b"", "root_path": ""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    seen: list[int] = []
    await side.app(scope, partial(_body, body), partial(_status, seen))
    assert seen == [200], seen


async def _body(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


async def _status(seen: list[int], message: Mapping[str, Any]) -> None:
    if message["type"] == "http.response.start":
        seen.append(message["status"])


def _told(took: list[float], off: list[float], count: int) -> dict[str, Any]:
    ratios = np.array(took) / np.array(off)
    drawn = np.random.default_rng(SEED).choice(ratios, (_RESAMPLED, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return {
        "ms_a_search": round(float(np.median(took)) * 1_000 / count, 3),
        "times_off": round(float(np.median(ratios)), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
    }


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Which bars are not reached."""
    return [
        f"{name} at {level}: {figures[str(level)][name]['times_off']} instead of {BAR}"
        for level in ASKED
        for name in JUDGED
        if figures[str(level)][name]["times_off"] > BAR
    ]


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


if __name__ == "__main__":
    main()
