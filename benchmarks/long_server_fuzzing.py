"""25,000 generated requests to the running app: every check of schemathesis on, and hostile bytes everywhere.

Schemathesis follows the OpenAPI document; what it does not know, the pages and bytes that no library sends, is written
by `tests/app/hostile.py`. They are sent in rounds, each with a seed and a server of its own. A clean round is kept in
`.build/`, under the digest of the code that it tested, so that a run that was stopped goes on where it was.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks import recording
from scenes.artifact import write_file
from scenes.catalog.embedded import postgres
from tests.app.fuzzing import Fuzzed, fuzz
from tests.app.hostile import meet
from tests.app.live import live
from tests.conftest import open_folder

MEASURED = (
    "app",
    "benchmarks/long_server_fuzzing.py",
    "scenes",
    "tests/app/fuzzing.py",
    "tests/app/fuzzing_hooks.py",
    "tests/app/hostile.py",
    "tests/app/schemathesis.toml",
)
SEED = 20_261_123
CASES = int(os.environ.get("LONG_CASES", "25000"))
EXAMPLES = int(os.environ.get("LONG_EXAMPLES", "40"))
HOSTILE = int(os.environ.get("LONG_HOSTILE", "2000"))
"""So many by chance in each round, besides those that meet every name and every text."""
_ENOUGH = 25_000
_KEPT = recording.ROOT / ".build" / "fuzzing"


def main() -> None:
    """Raises `AssertionError` for a fault."""
    kept = _KEPT / f"{recording.code_digest(MEASURED)[:32]}-{EXAMPLES}-{HOSTILE}.json"
    rounds: list[dict[str, float]] = json.loads(kept.read_text()) if kept.is_file() else []
    with open_folder() as home, postgres(home, None) as url:
        while _cases(rounds) < CASES:
            started = time.perf_counter()
            done = _round(url.replace("+psycopg", ""), home, SEED + 2 * len(rounds))
            assert done.clean, f"round {len(rounds)}: {done.report}"
            rounds.append({"cases": done.cases, "seconds": round(time.perf_counter() - started, 1)})
            write_file(kept, json.dumps(rounds).encode())
            print(f"round {len(rounds)}: {rounds[-1]}", flush=True)
    figures = {"cases": _cases(rounds), "rounds": len(rounds), "server_errors": 0, "schema_violations": 0}
    if figures["cases"] >= _ENOUGH:
        recording.record("long_server_fuzzing", figures, measured=MEASURED, seed=SEED)


def _round(url: str, home: Path, seed: int) -> Fuzzed:
    """Hostile bytes come last: names that they leave behind, such as of keys, would disturb schemathesis itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("collections", "api_keys", "audit"):
            connection.execute(f"DELETE FROM {table}")
    with tempfile.TemporaryDirectory() as scratch, live(url, home, "pets") as server:
        done = fuzz(server, "pets", Path(scratch), examples=EXAMPLES, seed=seed)
    with live(url, home, "others") as server:
        hostile = meet(server, "others", cases=HOSTILE, seed=seed)
    clean = done.clean and hostile.clean
    return Fuzzed(done.cases + hostile.cases, clean, f"{done.report}\n{hostile.report}")


def _cases(rounds: list[dict[str, float]]) -> int:
    return int(sum(one["cases"] for one in rounds))


if __name__ == "__main__":
    main()
