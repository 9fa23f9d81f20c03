"""Batches: immutable, content-addressed Parquet files, one row an outcome, in a folder named by the recipe.

A file's name is the SHA-256 of its bytes and its metadata names the recipe and the number of rows: each file is its
own manifest, so that any number of workers share a folder without a coordinator. Nothing is ever rewritten.
"""

import hashlib
import io
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from captioner.batches.rows import Record, from_row, to_row
from captioner.sources.guard import EVERYTHING, Guard
from scenes.artifact import write_file
from scenes.bounded_rows import Bounds, read_rows
from scenes.errors import BadInput, Corrupt, EnvironmentMissing
from scenes.recipe import CaptionRecipe

_RECIPE = "recipe.json"
_MOST_RECIPE_BYTES = 1_000_000
_MOST_FILE_BYTES = 512_000_000
_BOUNDS = Bounds(rows=100_000, bytes=1_000_000_000)
"""A batch file may come from another machine: one that holds more than any that is written here is refused."""
_STALE_PART_S = 3_600.0
_FIX = "remove it and caption again"
_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("description", pa.string()),
        ("support", pa.string()),
        ("exif", pa.string()),
        ("notes", pa.list_(pa.string())),
        ("last_reply", pa.string()),
        ("uri", pa.string()),
        ("round", pa.int32()),
        ("tokens_in", pa.int64()),
        ("tokens_out", pa.int64()),
        ("seconds", pa.float64()),
        ("attempts", pa.int32()),
    ]
)


class BatchFolder:
    """All batches under one recipe: `DIR/<recipe fingerprint>/<sha256>.parquet`."""

    def __init__(self, folder: Path, guard: Guard = EVERYTHING) -> None:
        self.folder = folder
        self._guard = guard

    @classmethod
    def for_recipe(cls, out: Path, recipe: CaptionRecipe) -> "BatchFolder":
        """The folder of a recipe, made if need be. Raises `EnvironmentMissing` (`out_unwritable`)."""
        batches = cls(out / recipe.fingerprint())
        try:
            if not (batches.folder / _RECIPE).is_file():
                write_file(batches.folder / _RECIPE, recipe.model_dump_json(indent=1).encode(), shared=True)
            batches._clean()
        except OSError as error:
            raise _unwritable(batches.folder, error) from error
        return batches

    @classmethod
    def all_in(cls, out: Path, guard: Guard = EVERYTHING) -> list["BatchFolder"]:
        """The batch folders of all recipes, read through a guard. Raises `BadInput` (`batches_missing`)."""
        found = [cls(path.parent, guard) for path in sorted(out.glob(f"*/{_RECIPE}"))]
        if not found:
            raise BadInput("batches_missing", f"{out} holds no batches", fix="wordsight caption run SOURCE --out DIR")
        return found

    @property
    def recipe(self) -> CaptionRecipe:
        """Raises `Corrupt` (`batch_corrupt`)."""
        path = self.folder / _RECIPE
        try:
            return CaptionRecipe.model_validate_json(self._bytes(path, _MOST_RECIPE_BYTES))
        except ValueError as error:
            raise Corrupt("batch_corrupt", f"{path} holds no recipe", fix=_FIX) from error

    def write(self, records: Sequence[Record]) -> Path:
        """Write one durable batch; the same records give the same file.

        Raises `EnvironmentMissing` (`out_unwritable`): a full disk, a folder that is gone.
        """
        facts = {"recipe": self.folder.name, "rows": str(len(records))}
        table = pa.Table.from_pylist([to_row(record) for record in records], schema=_SCHEMA.with_metadata(facts))
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        path = self.folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()}.parquet"
        try:
            if not path.exists():
                write_file(path, buffer.getvalue(), shared=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        return path

    def files(self) -> list[Path]:
        """The finished batch files, in the order of their names."""
        return sorted(self.folder.glob("*.parquet"))

    def read(self, path: Path) -> list[Record]:
        """The records of one batch file. Raises `Corrupt` (`batch_corrupt`)."""
        try:
            return [from_row(row) for row in self.columns(path)]
        except (ValueError, LookupError, TypeError) as error:
            raise Corrupt("batch_corrupt", f"{path} holds a row that is no outcome", fix=_FIX) from error

    def columns(self, path: Path, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Some columns of one verified batch file, a mapping a row. Raises `Corrupt` (`batch_corrupt`)."""
        data = self._bytes(path, _MOST_FILE_BYTES)
        if hashlib.sha256(data).hexdigest() != path.stem:
            raise Corrupt("batch_corrupt", f"{path} was altered or cut", fix=_FIX)
        try:
            schema, rows = read_rows(partial(_table, data), _BOUNDS, names)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Corrupt("batch_corrupt", f"{path} can't be read: {error}", fix=_FIX) from error
        facts = schema.metadata or {}
        if facts.get(b"recipe", b"").decode() != self.folder.name or facts.get(b"rows") != str(len(rows)).encode():
            raise Corrupt("batch_corrupt", f"{path} belongs to another recipe", fix="move it back to its own folder")
        return rows

    def _bytes(self, path: Path, most: int) -> bytes:
        try:
            with self._guard.open(path) as file:
                size = os.fstat(file.fileno()).st_size
                data = file.read(size) if size <= most else b""
        except OSError as error:
            raise Corrupt("batch_corrupt", f"{path} can't be read: {error.strerror or error}") from error
        if size > most:
            raise Corrupt("batch_corrupt", f"{path} is larger than {most} bytes", fix=_FIX)
        return data

    def records(self) -> Iterator[Record]:
        """All records, a file at a time."""
        for path in self.files():
            yield from self.read(path)

    def rows(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Some columns of all records, a file at a time."""
        for path in self.files():
            yield from self.columns(path, names)

    def _clean(self) -> None:
        """Remove what killed workers left beside; a living worker's part is seconds old."""
        for part in self.folder.glob(".*.part"):
            if time.time() - part.stat().st_mtime > _STALE_PART_S:
                part.unlink(missing_ok=True)


def _table(data: bytes, shared: Sequence[str]) -> Any:
    return pq.ParquetFile(io.BytesIO(data), read_dictionary=list(shared))


def _unwritable(path: Path, error: OSError) -> EnvironmentMissing:
    return EnvironmentMissing(
        "out_unwritable",
        f"{path} can't be written: {error.strerror or error}",
        fix="make room or rights there, then run the same command again: what is written is kept",
    )
