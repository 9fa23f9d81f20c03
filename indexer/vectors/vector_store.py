"""Exact vectors on disk, ordered by id and memory-mapped: what candidates are scored by, and brute force's data."""

import json
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.vector_index import Ids
from scenes.errors import Corrupt

IDS = "ids.i64"
VECTORS = "vectors.f32"
SHAPE = "vectors.json"
_FEW = 2_000
_BLOCK = 8_192


class VectorStore:
    """`ids` int64 (n,), ascending and unique; `vectors` float32 (n, dim), unit rows, in memory or mapped."""

    def __init__(self, ids: Ids, vectors: Vectors, file: Path | None = None) -> None:
        """`file` holds the vectors where they are mapped: few of them are read from it instead."""
        self.ids = ids
        self.vectors = vectors
        self._file = None if file is None else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    @classmethod
    def of(cls, vectors: Vectors, ids: Ids) -> "VectorStore":
        """A store in memory, of rows in any order."""
        if np.all(ids[1:] > ids[:-1]):
            return cls(np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(vectors, np.float32))
        order = np.argsort(ids, kind="stable")
        return cls(ids[order].astype(np.int64), np.ascontiguousarray(vectors[order], np.float32))

    @property
    def dimensions(self) -> int:
        return int(self.vectors.shape[1])

    def places(self, ids: Ids) -> NDArray[np.intp]:
        """Where these ids are, intp (n,); −1 for one that is not there."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.intp)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, at, -1)

    def read(self, places: NDArray[np.intp]) -> Vectors:
        """The vectors at these places, float32 (n, dim).

        Few are read from the file: a page fault maps sixteen pages for one vector, and all of them count as memory.
        Raises `Corrupt` (`index_unreadable`) where the file was cut meanwhile.
        """
        if self._file is None or len(places) > _FEW:
            return np.asarray(self.vectors[places])
        file, size = self._file, np.dtype("<f4").itemsize * self.dimensions
        read = b"".join([os.pread(file, size, place * size) for place in places.tolist()])
        if len(read) != size * len(places):
            raise _cut()
        return np.frombuffer(read, np.dtype("<f4")).reshape(len(places), self.dimensions)

    def blocks(self, size: int = _BLOCK) -> Iterator[tuple[Ids, Vectors]]:
        """All ids and vectors, so many at a time, read into one buffer: a block is good until the next is asked for.

        So looking at everything takes no more memory than a block. Raises `Corrupt` (`index_unreadable`).
        """
        buffer = np.empty((min(size, len(self.ids)), self.dimensions), np.dtype("<f4"))
        for start in range(0, len(self.ids), size):
            ids = self.ids[start : start + size]
            if self._file is None:
                yield ids, self.vectors[start : start + size]
            else:
                block = buffer[: len(ids)]
                if os.preadv(self._file, [block.data], start * self.dimensions * block.itemsize) != block.nbytes:
                    raise _cut()
                yield ids, block

    def take(self, ids: Ids) -> Vectors:
        """The vectors of these ids, float32 (n, dim); a row of NaN for one that is not there."""
        places = self.places(ids)
        taken = np.full((len(ids), self.dimensions), np.nan, np.float32)
        taken[places >= 0] = self.read(places[places >= 0])
        return taken

    def save(self, folder: Path) -> None:
        with (folder / IDS).open("wb") as file:
            self.ids.astype("<i8", copy=False).tofile(file)
        with (folder / VECTORS).open("wb") as file:
            self.vectors.astype("<f4", copy=False).tofile(file)
        write_shape(folder, len(self.ids), self.dimensions)

    @classmethod
    def open(cls, folder: Path) -> "VectorStore":
        """Map the files of a folder. Raises `Corrupt` (`index_unreadable`)."""
        try:
            shape = json.loads((folder / SHAPE).read_text())
            count, dimensions = int(shape["count"]), int(shape["dimensions"])
            file = folder / VECTORS
            return cls(_mapped(folder / IDS, "<i8", (count,)), _mapped(file, "<f4", (count, dimensions)), file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Corrupt("index_unreadable", f"{folder} holds no readable vectors: {error}") from error


def write_shape(folder: Path, count: int, dimensions: int) -> None:
    """Say how many vectors of how many numbers the files of a folder hold."""
    (folder / SHAPE).write_text(json.dumps({"count": count, "dimensions": dimensions}))


def _cut() -> Corrupt:
    return Corrupt("index_unreadable", f"{VECTORS} was cut while it was open", fix="index repair")


def _mapped(path: Path, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if path.stat().st_size != np.dtype(kind).itemsize * int(np.prod(shape)):
        raise ValueError(f"{path.name} has another size than stated")
    if 0 in shape:
        return np.empty(shape, kind)
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=shape))  # pieces of a plain array are made faster
