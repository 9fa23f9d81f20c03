"""20,000 generated requests to the running app, every check of schemathesis on."""

import tempfile
from pathlib import Path

import psycopg

from benchmarks import recording
from scenes.catalog.embedded import postgres
from tests.app.fuzzing import fuzz
from tests.app.live import live
from tests.conftest import open_folder

MEASURED = ("app", "scenes", "tests/app/fuzzing.py", "tests/app/schemathesis.toml")
SEED = 20_261_123
CASES = 20_000
EXAMPLES = 250


def main() -> None:
    """Raises `AssertionError` for a fault, or where fewer than 20,000 cases were sent."""
    cases, rounds = 0, 0
    with open_folder() as home, tempfile.TemporaryDirectory() as scratch, postgres(home, None) as url:
        while cases < CASES:
            name = f"round_{rounds}"
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("DELETE FROM collections")
            with live(url.replace("+psycopg", ""), home, "pets") as server:
                done = fuzz(server, "pets", Path(scratch), examples=EXAMPLES, seed=SEED + 2 * rounds)
            assert done.clean, f"{name}: {done.report}"
            cases, rounds = cases + done.cases, rounds + 1
            print(f"{name}: {done.cases} cases", flush=True)
    recording.record("long_server_fuzzing", {"cases": cases, "rounds": rounds}, measured=MEASURED, seed=SEED)
