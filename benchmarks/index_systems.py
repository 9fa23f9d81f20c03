"""One index system at one size: `python -m benchmarks.index_systems build|search SYSTEM N`, each its own process.

Each prints one JSON object: seconds to build, bytes on disk, seconds from nothing open to the first answer, what the
process grew by (anonymous and file-backed), recall@10 and milliseconds of one query at a time on one thread.
"""

import importlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.index_vectors import WORK, Sample, sample
from indexer.encoder import Vectors

RECALL = 0.99
EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
THREADS = 2
_TUNED_ON = 150


class System(Protocol):
    """An index on disk that can be built, opened and searched with an effort; ours ignores the effort: it is tuned."""

    def build(self, vectors: Vectors, folder: Path) -> None: ...
    def open(self, folder: Path) -> None: ...
    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]: ...


class Wordsight:
    """A release's index, opened as a server opens it: every file's checksum first."""

    def build(self, vectors: Vectors, folder: Path) -> None:
        from indexer.release import KIND
        from indexer.tuning import make, plan
        from indexer.vector_store import VectorStore
        from scenes.artifact import write_folder

        index = make(VectorStore(np.arange(len(vectors)), vectors), plan(len(vectors)))
        write_folder(folder / "release", KIND, {}, index.save)

    def open(self, folder: Path) -> None:
        from indexer.exact_index import ExactIndex
        from indexer.faiss_index import FaissIndex
        from indexer.release import KIND
        from scenes.artifact import verify_folder

        manifest = verify_folder(folder / "release", KIND)
        kind = FaissIndex if "index.faiss" in manifest.sha256 else ExactIndex
        self._index = kind.load(folder / "release")

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:  # noqa: ARG002
        return self._index.search(query[None, :], 10)[0].ids

    def settings(self) -> dict[str, Any]:
        return self._index.recipe.model_dump()


class Hnswlib:
    def build(self, vectors: Vectors, folder: Path) -> None:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
        index.add_items(vectors, num_threads=THREADS)
        index.save_index(str(folder / "index.bin"))

    def open(self, folder: Path) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=384)
        self._index.load_index(str(folder / "index.bin"))

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        self._index.set_ef(effort)
        found: NDArray[np.int64] = self._index.knn_query(query, 10, num_threads=1)[0][0].astype(np.int64)
        return found


class Usearch:
    def build(self, vectors: Vectors, folder: Path) -> None:
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=128)
        index.add(np.arange(len(vectors)), np.ascontiguousarray(vectors), threads=THREADS)
        index.save(str(folder / "index.usearch"))

    def open(self, folder: Path) -> None:
        from usearch.index import Index

        self._index = Index(ndim=384, metric="ip", dtype="f32", connectivity=16)
        self._index.load(str(folder / "index.usearch"))

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        self._index.expansion_search = effort
        return np.asarray(self._index.search(query, 10, threads=1).keys, np.int64)


class Pgvector:
    """HNSW in Postgres over a Unix socket; its memory is the server's and is not measured here."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def build(self, vectors: Vectors, folder: Path) -> None:
        self._connect(folder)
        run = self._connection.execute
        run("DROP TABLE IF EXISTS v")
        run("CREATE EXTENSION IF NOT EXISTS vector")
        run(f"CREATE TABLE v (id bigint PRIMARY KEY, e vector({vectors.shape[1]}))")
        with self._connection.cursor().copy("COPY v FROM STDIN") as copy:
            for i, vector in enumerate(vectors):
                copy.write_row((i, _text(vector)))
        run("SET maintenance_work_mem = '4GB'")
        run("CREATE INDEX ON v USING hnsw (e vector_ip_ops) WITH (m = 16, ef_construction = 64)")

    def open(self, folder: Path) -> None:
        self._connect(folder)

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        self._connection.execute(f"SET hnsw.ef_search = {effort}")
        found = self._connection.execute("SELECT id FROM v ORDER BY e <#> %s::vector LIMIT 10", (_text(query),))
        return np.array([row for (row,) in found.fetchall()], np.int64)

    def _connect(self, folder: Path) -> None:
        import psycopg

        from scenes.catalog.embedded import postgres

        folder.chmod(0o755)
        url = self._stack.enter_context(postgres(folder, None))
        plain = url.replace("+psycopg", "")
        self._connection = self._stack.enter_context(psycopg.connect(plain, autocommit=True))


def build(name: str, n: int) -> dict[str, Any]:
    """Build one system at one size."""
    given = sample(n)
    folder = WORK / f"{name}-{n}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        system = systems(stack)[name]()
        build_s = _seconds(lambda: system.build(given.vectors, folder))
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"n": n, "build_s": round(build_s, 1), "disk_bytes": disk, "raw_fp32_bytes": int(given.vectors.nbytes)}


def search(name: str, n: int) -> dict[str, Any]:
    """Open what was built, search it with one thread, and remove it."""
    given = sample(n)
    folder = WORK / f"{name}-{n}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, True)
        system = systems(stack)[name]()
        before = _memory()
        ready_s = _seconds(lambda: (system.open(folder), system.search(given.queries[0], EFFORTS[0])))
        effort, (recall, times) = _tuned(system, given)
        grown = {key: value - before[key] for key, value in _memory().items()}
        settings = system.settings() if isinstance(system, Wordsight) else {"effort": effort}
    return {
        "ready_s": round(ready_s, 3),
        "memory_bytes": grown,
        "recall_at_10": recall,
        "p50_ms": round(float(np.percentile(times, 50)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(times, 99)) * 1e3, 3),
        "settings": settings,
    }


def systems(stack: ExitStack) -> dict[str, Callable[[], System]]:
    """All systems by name."""
    return {"wordsight": Wordsight, "hnswlib": Hnswlib, "usearch": Usearch, "pgvector": lambda: Pgvector(stack)}


def _tuned(system: System, given: Sample) -> tuple[int, tuple[float, list[float]]]:
    """The least effort that reaches the recall on the first queries, measured on the others."""
    first, rest = slice(0, _TUNED_ON), slice(_TUNED_ON, None)
    efforts = EFFORTS[:1] if isinstance(system, Wordsight) else EFFORTS
    effort = next((one for one in efforts if _searched(system, given, first, one)[0] >= RECALL), efforts[-1])
    return effort, _searched(system, given, rest, effort)


def _searched(system: System, given: Sample, part: slice, effort: int) -> tuple[float, list[float]]:
    good, times = 0, []
    for query, right in zip(given.queries[part], given.right[part], strict=True):
        started = time.perf_counter()
        found = system.search(query, effort)
        times.append(time.perf_counter() - started)
        good += len(np.intersect1d(found, right))
    return good / (10 * len(times)), times


def _memory() -> dict[str, int]:
    """Anonymous and file-backed bytes of this process that are in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
    return {"anonymous": values["RssAnon"], "file": values["RssFile"]}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _import() -> None:
    """Importing is not part of opening an index; torch comes before faiss."""
    for name in ("torch", "faiss", "hnswlib", "usearch.index", "psycopg", "indexer.release", "scenes.catalog.embedded"):
        importlib.import_module(name)


def _text(vector: Vectors) -> str:
    return "[" + ",".join(f"{number:.7g}" for number in vector.tolist()) + "]"


if __name__ == "__main__":
    _import()
    work = {"build": build, "search": search}[sys.argv[1]]
    sys.stdout.write(json.dumps(work(sys.argv[2], int(sys.argv[3]))) + "\n")
