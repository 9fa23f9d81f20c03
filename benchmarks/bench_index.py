"""The index beside hnswlib, usearch and pgvector, from ten thousand vectors to a million; resumable cell by cell.

A system that would build for more than half an hour, judged by its time at the size before, is left out of a size and
the result says so. `BENCH_INDEX_MOST` bounds the sizes of a run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.index_systems import RECALL, THREADS
from benchmarks.index_vectors import SEED, WORK, neighbour_likeness, sample

MEASURED = (
    "indexer/exact_index.py",
    "indexer/faiss_index.py",
    "indexer/measuring.py",
    "indexer/scoring.py",
    "indexer/tuning.py",
    "indexer/vector_store.py",
    "benchmarks/index_systems.py",
    "benchmarks/index_vectors.py",
)
SIZES = (10_000, 100_000, 1_000_000)
SYSTEMS = ("wordsight", "hnswlib", "usearch", "pgvector")
MOST_BUILD_S = 1_800
MEMORY_SHARE = 0.4
SLOWER = 1.2
_STEEPER = 1.3
"""Building grows a little faster than the number of vectors."""


def main() -> None:
    """Raises `AssertionError` where a bar is missed at the largest size that was measured."""
    most = int(os.environ.get("BENCH_INDEX_MOST", SIZES[-1]))
    cells: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in SYSTEMS}
    left_out: list[str] = []
    for n in [size for size in SIZES if size <= most]:
        sample(n)
        for name in SYSTEMS:
            expected = _expected(cells[name], n)
            if expected > MOST_BUILD_S:
                left_out.append(f"{name} at {n}: would build for about {expected / 60:.0f} minutes")
                continue
            cells[name][n] = _cell(name, n)
            print(f"{name} {n}: {json.dumps(cells[name][n])}", flush=True)
    figures = {"cells": cells, "left_out": left_out, "neighbour_likeness": neighbour_likeness(), "queries": 400}
    recording.record("bench_index", figures, measured=MEASURED, seed=SEED)
    _hold(cells)


def _expected(known: dict[int, dict[str, Any]], n: int) -> float:
    """Seconds to build n, judged by the largest size so far; endless where that was left out already."""
    if not known:
        return 0.0 if n == SIZES[0] else float("inf")
    last = max(known)
    return float(known[last]["build_s"]) * n / last * _STEEPER


def _cell(name: str, n: int) -> dict[str, Any]:
    """Measured now, or before on the same code."""
    digest = recording.code_digest(MEASURED)
    file = WORK / "cells" / f"{name}-{n}.json"
    if file.is_file() and (kept := json.loads(file.read_text()))["code"] == digest:
        return dict(kept["cell"])
    cell = _run("build", name, n, THREADS) | _run("search", name, n, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"code": digest, "cell": cell}))
    return cell


def _run(phase: str, name: str, n: int, threads: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.index_systems", phase, name, str(n)]
    limits = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        words, cwd=Path(recording.ROOT), env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _hold(cells: dict[str, dict[int, dict[str, Any]]]) -> None:
    """At the largest size: promised recall, 1.2 times the best peer's time, 40 % of raw fp32 in memory."""
    n = max(cells["wordsight"])
    ours = cells["wordsight"][n]
    peers = {name: cells[name][n] for name in SYSTEMS[1:] if n in cells[name]}
    best = min((cell["p50_ms"] for cell in peers.values() if cell["recall_at_10"] >= RECALL), default=float("inf"))
    assert ours["recall_at_10"] >= RECALL, ours
    assert sum(ours["memory_bytes"].values()) <= MEMORY_SHARE * ours["raw_fp32_bytes"] or n == SIZES[0], ours
    assert ours["p50_ms"] <= SLOWER * best, (ours["p50_ms"], best)
