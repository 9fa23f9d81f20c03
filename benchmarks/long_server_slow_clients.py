"""A minute of clients that send slowly, without an end, or never read: the server stays alive and serves the others.

Two server processes with everything on. Hundreds of connections of every kind in `tests.app.http.server.slow_clients`
come from other addresses and come back as soon as they were sent away; some hold a good key. Meanwhile others search,
and ask over a new connection each time whether the server is alive.
"""

import asyncio
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import recording
from benchmarks.servers import command, imported
from indexer.evaluation.synthetic_corpus import corpus
from scenes.catalog.embedded import postgres
from tests.app.http.server.slow_clients import Seen, Target, drive
from tests.app.serving import served
from tests.conftest import open_folder

MEASURED = (
    "app",
    "indexer",
    "scenes",
    "benchmarks/long_server_slow_clients.py",
    "tests/app/http/server/slow_clients.py",
)
SEED = 20_261_201
SECONDS = float(os.environ.get("LONG_SLOW_CLIENTS_SECONDS", "60"))
PROCESSES = 2
CLIENTS = 20
"""Of each kind."""
ALIVE_S = 1.0
_WHOLE_S = 60.0


def main() -> None:
    """Raises `AssertionError` where the server was not alive in time or others were not served."""
    texts = corpus(400, 10, SEED)
    with open_folder() as home, tempfile.TemporaryDirectory() as scratch, postgres(home, None) as url:
        environment = os.environ | {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
        imported(environment, Path(scratch), texts.documents, "c")
        slow, other = (
            command(environment, "key", "create", "--collection", "c", "--scope", "search")["key"] for _ in range(2)
        )
        with served(environment, "--workers", str(PROCESSES)) as server:
            seen = asyncio.run(drive(Target(server.url, "c", slow), other, SECONDS, CLIENTS))
    figures = told(seen)
    print(json.dumps(figures, indent=1))
    check(seen)
    if SECONDS >= _WHOLE_S:
        recording.record("long_server_slow_clients", figures, measured=MEASURED, seed=SEED)


def check(seen: Seen) -> None:
    """Raises `AssertionError`."""
    assert max(seen.alive_s) < ALIVE_S, max(seen.alive_s)
    assert len(seen.searches_s) > SECONDS, len(seen.searches_s)
    assert not seen.refused, seen.refused


def told(seen: Seen) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(seen).items() if not name.endswith("_s")}
    figures |= {"longest_s": {kind: round(seconds, 1) for kind, seconds in seen.longest_s.items()}}
    figures |= {"seconds": SECONDS, "processes": PROCESSES, "clients_of_each_kind": CLIENTS}
    figures |= {"alive": len(seen.alive_s), "alive_max_ms": round(1_000 * max(seen.alive_s), 1)}
    figures |= {"searches": len(seen.searches_s), "search_p50_ms": round(1_000 * median(seen.searches_s), 1)}
    return figures | {"search_max_ms": round(1_000 * max(seen.searches_s), 1)}


if __name__ == "__main__":
    main()
