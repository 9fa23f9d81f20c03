"""The index beside hnswlib, usearch and pgvector, from ten thousand vectors to a million; resumable build by build.

All systems of a size are searched one after the other. A system that would build for more than half an hour, judged by
its time at the size before, is left out of a size and the result says so. `BENCH_INDEX_MOST` bounds the sizes of a run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import index_page, recording
from benchmarks.index_systems import NAMES, RECALL, THREADS
from benchmarks.index_vectors import SEED, WORK, neighbour_likeness, sample

SEARCHED = (
    "indexer/releases/delta.py",
    "indexer/vectors/exact_index.py",
    "indexer/vectors/faiss_index.py",
    "indexer/releases/tuning_queries.py",
    "indexer/vectors/measuring.py",
    "indexer/vectors/scoring.py",
    "indexer/releases/index_reader.py",
    "indexer/vectors/tuning.py",
    "indexer/vectors/vector_store.py",
)
BUILT = tuple(
    name for name in SEARCHED if name not in ("indexer/releases/delta.py", "indexer/releases/index_reader.py")
)
HARNESS = ("benchmarks/index_peers.py", "benchmarks/index_systems.py", "benchmarks/index_vectors.py")
MEASURED = (*SEARCHED, *HARNESS)
SIZES = (10_000, 100_000, 1_000_000)
HELD_AT = SIZES[1:]
"""The bars are for these sizes; ten thousand vectors are scanned, all of them."""
MOST_BUILD_S = 1_800
"""`BENCH_INDEX_BUILD_S` says otherwise, where less time is at hand; what is left out for that is told all the same."""
MEMORY_SHARE = 0.4
SLOWER = 1.2
_STEEPER = 1.3
"""Building grows a little faster than the number of vectors."""


def main() -> None:
    """Raises `AssertionError` where a bar is missed."""
    most = int(os.environ.get("BENCH_INDEX_MOST", SIZES[-1]))
    patience = float(os.environ.get("BENCH_INDEX_BUILD_S", MOST_BUILD_S))
    cells: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in NAMES}
    left_out: list[str] = []
    for n in [size for size in SIZES if size <= most]:
        sample(n)
        for name in NAMES:
            expected = _expected(cells[name], n)
            if expected > patience:
                left_out.append(f"{name} at {n}: would build for about {expected / 60:.0f} minutes")
            else:
                cells[name][n] = build(name, n)
        for name in [name for name in NAMES if n in cells[name]]:
            cells[name][n] |= _run("search", name, n, 1)
            print(f"{name} {n}: {json.dumps(cells[name][n])}", flush=True)
    figures: dict[str, Any] = {"cells": cells, "left_out": left_out, "queries": 400}
    figures |= {"neighbour_likeness": neighbour_likeness(), "bars": [_bars(cells, n) for n in HELD_AT if n <= most]}
    figures["missed"] = [told for bar in figures["bars"] for told in _missed(bar)]
    recording.record("bench_index", figures, measured=MEASURED, seed=SEED)
    index_page.write(recording.ROOT / "docs", json.loads(json.dumps(figures)), recording.machine())
    assert not figures["missed"], figures["missed"]


def build(name: str, n: int) -> dict[str, Any]:
    """Built now, or before by the same code: a peer does not change with ours."""
    digest = recording.code_digest(BUILT if name == NAMES[0] else ("benchmarks/index_peers.py",))
    file = WORK / "built" / f"{name}-{n}.json"
    if file.is_file() and (kept := json.loads(file.read_text()))["code"] == digest:
        return dict(kept["cell"])
    sample(n)
    cell = _run("build", name, n, THREADS)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"code": digest, "cell": cell}))
    return cell


def _expected(known: dict[int, dict[str, Any]], n: int) -> float:
    """Seconds to build n, judged by the largest size so far; endless where that was left out already."""
    if not known:
        return 0.0 if n == SIZES[0] else float("inf")
    last = max(known)
    return float(known[last]["build_s"]) * n / last * _STEEPER


def _run(phase: str, name: str, n: int, threads: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.index_systems", phase, name, str(n)]
    limits = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        words, cwd=Path(recording.ROOT), env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _bars(cells: dict[str, dict[int, dict[str, Any]]], n: int) -> dict[str, Any]:
    """What is promised of a size. `at_promise` takes of each system the least effort that reached the recall on other
    queries; `as_served` holds ours as it was tuned against the quickest peer that finds as much, if any."""
    there = {name: cells[name][n] for name in NAMES if n in cells[name]}
    ours = there[NAMES[0]]
    at_promise = {name: index_page.at_promise(cell["curve"], RECALL) for name, cell in there.items()}
    served = ours["as_served"]["k10"]
    as_good = {
        name: [one["p50_ms"] for one in cell["curve"].values() if one["recall_at_10"] >= served["recall_at_10"]]
        for name, cell in there.items()
        if name != NAMES[0]
    }
    quickest = min((time for one in as_good.values() for time in one), default=None)
    peers = [cell["p50_ms"] for name, cell in at_promise.items() if cell is not None and name != NAMES[0]]
    mine = at_promise[NAMES[0]]
    return {
        "n": n,
        "at_promise": at_promise,
        "times_the_best_at_promise": None if mine is None or not peers else round(mine["p50_ms"] / min(peers), 3),
        "served": served,
        "times_the_best_as_served": None if quickest is None else round(served["p50_ms"] / quickest, 3),
        "memory_share": round(sum(ours["memory_bytes"].values()) / ours["raw_fp32_bytes"], 3),
    }


def _missed(bar: dict[str, Any]) -> list[str]:
    times, served = bar["times_the_best_at_promise"], bar["times_the_best_as_served"]
    kept = {
        f"recall {bar['served']['recall_at_10']}": bar["served"]["recall_at_10"] >= RECALL,
        f"{bar['memory_share']} of raw fp32": bar["memory_share"] <= MEMORY_SHARE,
        f"{times} times the best at the least effort": times is not None and times <= SLOWER,
        f"{served} times the best as served": served is None or served <= SLOWER,
    }
    return [f"{bar['n']}: {told}" for told, good in kept.items() if not good]
