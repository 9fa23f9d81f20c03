"""The long groups: `python -m benchmarks.groups test|bench [NAME …]` runs them one at a time, resumable.

A group is a `long_*.py` (test) or `bench_*.py` (bench) module beside this file with `MEASURED` (the folders whose
code it measures) and `main() -> None`, which raises where a bar is missed and records its result under the group's
name. A group whose recorded result is current and misses no bar is skipped, so that a stopped run goes on where it was.
"""

import importlib
import sys
import time
import traceback
from pathlib import Path

from benchmarks import recording, server_page

PREFIX = {"test": "long_", "bench": "bench_"}


def names(kind: str) -> list[str]:
    """All groups of a kind, in alphabetical order."""
    return sorted(path.stem for path in Path(__file__).parent.glob(f"{PREFIX[kind]}*.py"))


def run(name: str) -> str:
    """Run one group; returns 'current', 'done' or 'failed'."""
    if recording.is_current(name) and not recording.bars_missed(name):
        return "current"
    started = time.perf_counter()
    try:
        importlib.import_module(f"benchmarks.{name}").main()
    except Exception:  # noqa: BLE001 - one group's failure must not stop the others; it is told and counted
        traceback.print_exc()
        return "failed"
    print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return "done" if recording.is_current(name) else "failed"


def main(kind: str, *wanted: str) -> int:
    known = names(kind)
    unknown = set(wanted) - set(known)
    if unknown:
        print(f"no group is named {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return 2
    outcomes = {name: run(name) for name in (wanted or known)}
    server_page.write(recording.ROOT / "docs")
    for name, outcome in outcomes.items():
        print(f"  {name:<32}{outcome}")
    failed = sum(outcome == "failed" for outcome in outcomes.values())
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
