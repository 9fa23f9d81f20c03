"""Servers as processes, each on a free port and, where cores are named, kept to those."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from app.cli.serve import ONE_THREAD_A_CALL
from benchmarks import recording
from benchmarks.load import Pace, Plan
from scenes.catalog.embedded import postgres

SEARCH = "/v1/collections/bench/search"
PROGRAM = str(Path(sys.executable).with_name("wordsight"))
AS_SERVED = ONE_THREAD_A_CALL
"""What `wordsight serve` sets for itself."""
_START_S = 400
_READY = re.compile(r"^wordsight_processes_ready (\S+)$", re.MULTILINE)
Cores = frozenset[int]


@dataclass(frozen=True)
class Ours:
    """Our server: `headers` hold a key; `database` is its Postgres, for a peer to use."""

    port: int
    headers: dict[str, str]
    database: str
    process: int


@contextmanager
def ours(
    texts: Sequence[str],
    home: Path,
    settings: Mapping[str, str] | None = None,
    cores: Cores | None = None,
    processes: int = 1,
) -> Iterator[Ours]:
    """Our server over a collection `bench` of these texts; its Postgres runs on all cores."""
    home.mkdir(mode=0o755)
    with postgres(home, None) as url:
        environment = os.environ | {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
        environment |= settings or {}
        imported(environment, home, texts, "bench")
        key = command(environment, "key", "create", "--collection", "bench", "--scope", "search")["key"]
        port = free_port()
        program = [PROGRAM, "serve", "--port", str(port), "--workers", str(processes)]
        with running(program, environment, port, "/readyz", cores) as process:
            _wait_for(processes, f"http://127.0.0.1:{port}/metrics")
            yield Ours(port, {"Authorization": f"Bearer {key}"}, environment["DATABASE_URL"], process)


@contextmanager
def served(peer: str, environment: Mapping[str, str], ready: str, cores: Cores | None = None) -> Iterator[int]:
    """A peer on a free port."""
    port = free_port()
    program = [sys.executable, str(Path(__file__).parent / "peers" / f"{peer}.py")]
    with running(program, {**environment, "PORT": str(port)}, port, ready, cores):
        yield port


@contextmanager
def running(
    program: Sequence[str], environment: Mapping[str, str], port: int, ready: str, cores: Cores | None = None
) -> Iterator[int]:
    """A server's process number, from its first answer to the end of the block."""
    process = subprocess.Popen(
        [*_kept_to(cores), *program], env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + _START_S
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                raise RuntimeError(f"{program} did not start: {process.communicate()[1].decode()[-2_000:]}")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def pace(plan: Plan, cores: Cores | None = None) -> Pace:
    """One run of the closed loop, in a process of its own."""
    return Pace(**loaded("benchmarks.load", plan, cores))


def loaded(module: str, plan: Any, cores: Cores | None = None, settings: Mapping[str, str] | None = None) -> Any:
    """What a load generator, or another program of its kind, says of a plan."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(asdict(plan)))
        file.flush()
        words = [*_kept_to(cores), sys.executable, "-m", module, file.name]
        environment = os.environ | (settings or {})
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=recording.ROOT, env=environment)
    return json.loads(done.stdout)


def imported(environment: Mapping[str, str], folder: Path, texts: Sequence[str], collection: str) -> None:
    """A collection of these texts, each named by its place."""
    lines = folder / "texts.jsonl"
    lines.write_text("\n".join(json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)))
    command(environment, "import", str(lines), "--collection", collection)


def command(environment: Mapping[str, str], *words: str) -> Any:
    """What a command of ours says in JSON."""
    program = [PROGRAM, *words, "--json"]
    return json.loads(subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _kept_to(cores: Cores | None) -> list[str]:
    """What is put before a command so that it runs on these cores only."""
    return [] if cores is None else ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))]


def _wait_for(processes: int, metrics: str) -> None:
    """Until all of them answer: one that starts later would not be warm when it is measured."""
    until = time.monotonic() + _START_S
    while (ready := _READY.search(httpx.get(metrics, timeout=10).text)) is None or float(ready[1]) < processes:
        if time.monotonic() > until:
            raise RuntimeError(f"{processes} processes did not start: {ready and ready[1]} are ready")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
