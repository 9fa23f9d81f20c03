"""The index and its peers, built and searched: `python -m benchmarks.index_systems build|search SYSTEM N`.

Each run is its own process and prints one JSON object. A search tells seconds from nothing open to the first answer,
what the process grew by (anonymous and file-backed; pgvector tells its server's) and, for growing effort, recall@10 and
the milliseconds of one query at a time on one thread. Ours is a whole `Snapshot`, as a server searches it, and is told
as tuned as well.
"""

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.index_peers import Hnswlib, Pgvector, System, Usearch
from benchmarks.index_vectors import WORK, Sample, phrases_asked, sample
from indexer.encoding.encoder import Vectors

RECALL = 0.99
EFFORTS = (10, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1_024)
THREADS = 2
NAMES = ("wordsight", "hnswlib", "usearch", "pgvector")
_CHOSEN_ON = 150
_ROUNDS = 3
_ENOUGH = 0.998
_FRESH = 0.01


class Wordsight:
    """A release opened as a server opens it, every file's checksum first, and searched through a snapshot."""

    def build(self, vectors: Vectors, folder: Path) -> None:
        from indexer.releases.release import KIND
        from indexer.releases.tuning_queries import save
        from indexer.vectors.tuning import make, plan
        from indexer.vectors.vector_store import VectorStore
        from scenes.artifact import write_folder

        def fill(beside: Path) -> None:
            VectorStore(np.arange(len(vectors)), vectors).save(beside)
            save(asked, beside)
            make(VectorStore.open(beside), plan(len(vectors)), asked).save_lists(beside)

        asked = phrases_asked()
        write_folder(folder / "release", KIND, {}, fill)

    def open(self, folder: Path) -> None:
        from indexer.releases.release import KIND
        from indexer.vectors.exact_index import ExactIndex
        from indexer.vectors.faiss_index import FaissIndex
        from scenes.artifact import verify_folder

        manifest = verify_folder(folder / "release", KIND)
        kind = FaissIndex if "index.faiss" in manifest.sha256 else ExactIndex
        self.index = kind.load(folder / "release")
        self._snapshot = _snapshot(self.index)

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        """With this effort, or as tuned where it is 0."""
        return self._snapshot_of(effort).search(query, 10).rows

    def settings(self) -> dict[str, Any]:
        return self.index.recipe.model_dump()

    def _snapshot_of(self, effort: int) -> Any:
        if effort == 0 or self.index.recipe.kind == "exact":
            return self._snapshot
        if effort != getattr(self, "_effort", 0):
            from indexer.vectors.faiss_index import Effort

            self._effort = effort
            refine = self.index.recipe.parameters["refine"]
            self._other = _snapshot(self.index.with_effort(Effort((effort, effort, effort), refine)))
        return self._other

    def as_served(self, given: Sample) -> dict[str, Any]:
        """As tuned: ten neighbours, the fifty that the ranking asks for, and beside one per cent that has changed."""
        ten = _timed(lambda query: self._snapshot.search(query, 10).rows, given, slice(_CHOSEN_ON, None))
        fifty = _timed(lambda query: self._snapshot.search(query, 50).rows, given, slice(_CHOSEN_ON, None))
        fresh = _with_changes(self._snapshot, given)
        changed = _timed(lambda query: fresh.search(query, 10).rows, given, slice(_CHOSEN_ON, None))
        return {"k10": ten, "k50": fifty, "k10_beside_1_percent_changed": changed}


def build(name: str, n: int) -> dict[str, Any]:
    """Build one system at one size."""
    given = sample(n)
    folder = WORK / f"{name}-{n}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        system = _system(name, stack)
        build_s = _seconds(lambda: system.build(given.vectors, folder))
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"n": n, "build_s": round(build_s, 1), "disk_bytes": disk, "raw_fp32_bytes": int(given.vectors.nbytes)}


def search(name: str, n: int) -> dict[str, Any]:
    """Open what was built and search it with one thread."""
    given = sample(n)
    folder = WORK / f"{name}-{n}"
    with ExitStack() as stack:
        system = _system(name, stack)
        _forget(folder)
        before = _memory()
        ready_s = _seconds(lambda: (system.open(folder), system.search(given.queries[0], EFFORTS[0])))
        curve = _curve(system, given)
        grown = {key: value - before[key] for key, value in _memory().items()}
        if isinstance(system, Pgvector):
            grown = system.memory()
        known: dict[str, Any] = {}
        if isinstance(system, Wordsight):
            known = {"as_served": system.as_served(given), "settings": system.settings()}
    return {"ready_s": round(ready_s, 3), "memory_bytes": grown, "curve": curve} | known


def _curve(system: System, given: Sample) -> dict[str, Any]:
    """By effort, until nearly all is found: recall on the queries an effort is chosen by, and what the others took."""
    curve: dict[str, Any] = {}
    for effort in EFFORTS:
        search = partial(_searched, system, effort)
        chosen = _timed(search, given, slice(0, _CHOSEN_ON))
        curve[str(effort)] = {"chosen_by": chosen["recall_at_10"]} | _timed(search, given, slice(_CHOSEN_ON, None))
        if chosen["recall_at_10"] >= _ENOUGH:
            break
    return curve


def _searched(system: System, effort: int, query: Vectors) -> NDArray[np.int64]:
    return system.search(query, effort)


def _timed(search: Callable[[Vectors], NDArray[np.int64]], given: Sample, part: slice) -> dict[str, float]:
    """Recall of the first ten; each query's time is the median of three rounds."""
    queries, right = given.queries[part], given.right[part]
    found = [search(query)[:10] for query in queries]
    times = [[_seconds(partial(search, query)) for query in queries] for _ in range(_ROUNDS)]
    each = np.median(np.array(times), axis=0) * 1e3
    good = sum(len(np.intersect1d(one, true)) for one, true in zip(found, right, strict=True))
    return {
        "recall_at_10": round(good / right.size, 4),
        "p50_ms": round(float(np.percentile(each, 50)), 4),
        "p99_ms": round(float(np.percentile(each, 99)), 4),
    }


def _snapshot(index: Any) -> Any:
    from indexer.releases.delta import Delta
    from indexer.releases.index_reader import Snapshot

    return Snapshot(1, 1, None, None, index, Delta.empty(1, index.dimensions), np.empty(0, np.int64))


def _with_changes(snapshot: Any, given: Sample) -> Any:
    """The same vectors, but one in a hundred of them answers from the delta."""
    from dataclasses import replace

    rows = np.arange(0, len(given.vectors), round(1 / _FRESH))
    vectors = np.array(given.vectors[rows])[:, None, :]
    return replace(snapshot, delta=snapshot.delta.changed(rows, vectors, rows[:0]), hidden=rows)


def _forget(folder: Path) -> None:
    """Drop a folder's files from the page cache, so that opening reads the disk."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _memory() -> dict[str, int]:
    """Anonymous and file-backed bytes of this process that are in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
    return {"anonymous": values["RssAnon"], "file": values["RssFile"]}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _system(name: str, stack: ExitStack) -> System:
    kinds: dict[str, Callable[[], System]] = {
        "wordsight": Wordsight,
        "hnswlib": partial(Hnswlib, THREADS),
        "usearch": partial(Usearch, THREADS),
        "pgvector": partial(Pgvector, stack),
    }
    return kinds[name]()


def _import() -> None:
    """Importing is not part of opening an index; torch comes before faiss."""
    for name in (
        "torch",
        "faiss",
        "hnswlib",
        "usearch.index",
        "psycopg",
        "indexer.releases.release",
        "scenes.catalog.embedded",
    ):
        importlib.import_module(name)


if __name__ == "__main__":
    _import()
    work = {"build": build, "search": search}[sys.argv[1]]
    sys.stdout.write(json.dumps(work(sys.argv[2], int(sys.argv[3]))) + "\n")
