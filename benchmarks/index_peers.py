"""What the index is measured beside: hnswlib, usearch and pgvector, each with 16 links a vector."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors

_ROWS = 10_000
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"


class System(Protocol):
    """An index on disk that can be built, opened and searched with an effort."""

    def build(self, vectors: Vectors, folder: Path) -> None: ...
    def open(self, folder: Path) -> None: ...
    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]: ...


class Hnswlib:
    def __init__(self, threads: int) -> None:
        self._threads = threads

    def build(self, vectors: Vectors, folder: Path) -> None:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
        index.add_items(vectors, num_threads=self._threads)
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
    def __init__(self, threads: int) -> None:
        self._threads = threads

    def build(self, vectors: Vectors, folder: Path) -> None:
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=128)
        index.add(np.arange(len(vectors)), np.ascontiguousarray(vectors), threads=self._threads)
        index.save(str(folder / "index.usearch"))

    def open(self, folder: Path) -> None:
        from usearch.index import Index

        self._index = Index(ndim=384, metric="ip", dtype="f32", connectivity=16)
        self._index.load(str(folder / "index.usearch"))

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        self._index.expansion_search = effort
        return np.asarray(self._index.search(query, 10, threads=1).keys, np.int64)


class Pgvector:
    """HNSW in Postgres over a Unix socket; its memory is the server's processes'."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def build(self, vectors: Vectors, folder: Path) -> None:
        self._connect(folder)
        run = self._connection.execute
        run("CREATE EXTENSION IF NOT EXISTS vector")
        run(f"CREATE TABLE v (id bigint PRIMARY KEY, e vector({vectors.shape[1]}))")
        with self._connection.cursor().copy("COPY v FROM STDIN (FORMAT binary)") as copy:
            for part in _copied(vectors):
                copy.write(part)
        run("SET maintenance_work_mem = '4GB'")
        run("SET max_parallel_maintenance_workers = 1")
        run("CREATE INDEX ON v USING hnsw (e vector_ip_ops) WITH (m = 16, ef_construction = 64)")

    def open(self, folder: Path) -> None:
        self._connect(folder)

    def search(self, query: Vectors, effort: int) -> NDArray[np.int64]:
        self._connection.execute(f"SET hnsw.ef_search = {min(effort, 1_000)}")
        found = self._connection.execute("SELECT id FROM v ORDER BY e <#> %s::vector LIMIT 10", (_text(query),))
        return np.array([row for (row,) in found.fetchall()], np.int64)

    def memory(self) -> dict[str, int]:
        """Anonymous (shared buffers too) and file-backed bytes of all the server's processes, shared ones once."""
        postmaster = int(next(self._folder.rglob("postmaster.pid")).read_text().split()[0])
        parts = [_memory(pid) for pid in (postmaster, *_children(postmaster))]
        return {kind: sum(part[kind] for part in parts) for kind in parts[0]}

    def _connect(self, folder: Path) -> None:
        import psycopg

        from scenes.catalog.embedded import postgres

        self._folder = folder
        folder.chmod(0o755)
        url = self._stack.enter_context(postgres(folder, None))
        plain = url.replace("+psycopg", "")
        self._connection = self._stack.enter_context(psycopg.connect(plain, autocommit=True))


def _copied(vectors: Vectors) -> Iterator[bytes]:
    """Rows in Postgres' binary copy format: a count of fields, then each field after its length."""
    dim = vectors.shape[1]
    names = [
        ("fields", ">i2"),
        ("id_bytes", ">i4"),
        ("id", ">i8"),
        ("e_bytes", ">i4"),
        ("dim", ">i2"),
        ("unused", ">i2"),
    ]
    row = np.dtype([*names, ("e", ">f4", (dim,))])
    yield _COPY_HEAD
    for start in range(0, len(vectors), _ROWS):
        part = vectors[start : start + _ROWS]
        rows = np.zeros(len(part), row)
        rows["fields"], rows["id_bytes"], rows["e_bytes"], rows["dim"] = 2, 8, 4 + 4 * dim, dim
        rows["id"], rows["e"] = np.arange(start, start + len(part)), part
        yield rows.tobytes()
    yield _COPY_END


def _text(vector: Vectors) -> str:
    return "[" + ",".join(f"{number:.7g}" for number in vector.tolist()) + "]"


def _children(parent: int) -> list[int]:
    stats = ((int(path.parent.name), path.read_text()) for path in Path("/proc").glob("[0-9]*/stat"))
    return [pid for pid, stat in stats if int(stat.rpartition(")")[2].split()[1]) == parent]


def _memory(pid: int) -> dict[str, int]:
    told = dict(re.findall(r"^(Pss_\w+): +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    anonymous = int(told["Pss_Anon"]) + int(told["Pss_Shmem"])
    return {"anonymous": anonymous * 1024, "file": int(told["Pss_File"]) * 1024}
