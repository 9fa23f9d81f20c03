"""One warm search, traced: how often it goes from `app` into `indexer` and back, and how many calls it makes.

`python -m benchmarks.search_trace` prints JSON. A call counts as a crossing where the nearest of our frames below it
belongs to another package; a coroutine counts once, however often it is resumed. The search asks a query that no cache
knows; images and token vectors are in memory.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "indexer", "scenes")
SCENES = [
    f"{colour} {thing} in the {place}"
    for colour in ("red", "blue", "old")
    for thing in ("bus", "boat", "dog")
    for place in ("snow", "harbour", "garden", "street", "wood", "field")
]


@dataclass
class Trace:
    """What was called; frames are kept so that no other gets their number."""

    crossings: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    files: set[str] = field(default_factory=set)
    seen: dict[int, FrameType] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or id(frame) in self.seen or (mine := _package(frame)) is None:
            return
        self.seen[id(frame)] = frame
        self.calls[mine] += 1
        self.files.add(frame.f_code.co_filename)
        below = frame.f_back
        while below is not None and _package(below) is None:
            below = below.f_back
        caller = None if below is None else _package(below)
        if caller is not None and {caller, mine} == {"app", "indexer"}:
            self.crossings[f"{caller} -> {mine}"] += 1
            self.entries[f"{frame.f_code.co_filename.removeprefix(f'{ROOT}/')}:{frame.f_code.co_qualname}"] += 1


def _package(frame: FrameType) -> str | None:
    file = frame.f_code.co_filename
    return next((one for one in PACKAGES if file.startswith(f"{ROOT}/{one}/")), None)


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """Trace this thread; the others report from the moment they were started."""
    sys.setprofile(trace)
    try:
        yield
    finally:
        sys.setprofile(None)


class Switch:
    """What threads report to: nothing until a trace is given."""

    def __init__(self) -> None:
        self.trace: Trace | None = None

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.trace is not None:
            self.trace(frame, event, argument)


async def measure(home: Path, database: str) -> dict[str, Any]:
    """The trace of one search of a collection that was searched before."""
    from app import asgi, main
    from app.http.telemetry.metrics import Metrics
    from app.keys.service import Keys
    from app.settings import Settings

    switch = Switch()
    threading.setprofile(switch)
    config = Settings.model_validate({"WORDSIGHT_HOME": home, "DATABASE_URL": database})
    metrics = Metrics()
    app = main.create_app(lambda: asgi.opened(config, metrics), metrics, config.max_concurrent)
    async with app.router.lifespan_context(app):
        state = app.state.wordsight
        key, _ = await Keys(state.catalog, state.secret).create("trace", "search")
        for query in SCENES:
            await ask(app, key, query)
        await asyncio.sleep(1)
        switch.trace = trace = Trace()
        with traced(trace):
            await ask(app, key, "a grey cat beside an old bus")
        switch.trace = None
    threading.setprofile(None)
    return {
        "crossings": dict(trace.crossings),
        "entries": dict(trace.entries),
        "calls": dict(trace.calls),
        "files": len(trace.files),
    }


async def ask(app: Any, key: str, query: str) -> None:
    """One search by REST, without a socket."""
    body = json.dumps({"query": query}).encode()
    path = "/v1/collections/trace/search"
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
    scope |= {"scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    answers: list[Any] = []
    await app(scope, partial(_body, body), partial(_kept, answers))
    assert answers[0]["status"] == 200, answers


async def _body(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


async def _kept(answers: list[Any], message: Any) -> None:
    answers.append(message)


def main() -> None:
    from scenes.catalog.embedded import postgres

    with tempfile.TemporaryDirectory() as folder:
        home, lines = Path(folder) / "home", Path(folder) / "lines.jsonl"
        lines.write_text("\n".join(json.dumps({"id": str(n), "text": text}) for n, text in enumerate(SCENES)))
        os.environ["WORDSIGHT_HOME"] = str(home)
        program = str(Path(sys.executable).with_name("wordsight"))
        subprocess.run([program, "import", str(lines), "--collection", "trace"], check=True, capture_output=True)
        with postgres(home, None) as url:
            print(json.dumps(asyncio.run(measure(home, url)), indent=1))


if __name__ == "__main__":
    main()
