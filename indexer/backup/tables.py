"""Rows as Parquet and back: the only file of this room that imports pyarrow."""

import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.backup.manifest import Noun
from scenes.bounded_rows import Bounds, TooLarge, read_rows
from scenes.errors import BadInput, Corrupt

_TEXT, _NUMBER, _BYTES = pa.string(), pa.int64(), pa.binary()
SCHEMAS: dict[Noun, pa.Schema] = {
    "images": pa.schema(
        [
            ("number", _NUMBER),
            ("image_id", _TEXT),
            ("id_from", _TEXT),
            ("external_id", _TEXT),
            ("metadata", _TEXT),
            ("perceptual_hash", _NUMBER),  # never written: part of the format, always null
            ("uris", _TEXT),
            ("current", _NUMBER),
            ("erasures", _NUMBER),
            ("created_at", _TEXT),
        ]
    ),
    "descriptions": pa.schema(
        [
            ("number", _NUMBER),
            ("image", _NUMBER),
            ("source", _TEXT),
            ("variant", _TEXT),
            ("recipe", _TEXT),
            ("body", _TEXT),
            ("support", _TEXT),
            ("usage", _TEXT),
            ("notes", _TEXT),
            ("created_at", _TEXT),
        ]
    ),
    "embeddings": pa.schema(
        [("description", _NUMBER), ("vectors", _BYTES), ("words", _BYTES), ("truncated", pa.bool_())]
    ),
    "erasures": pa.schema([("id", _TEXT), ("image_id", _TEXT), ("erased_at", _TEXT)]),
    "outcomes": pa.schema([(name, _TEXT) for name in ("image_id", "recipe", "kind", "reason", "detail", "uri", "at")]),
}


def to_parquet(noun: Noun, rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows of one noun as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[noun]), buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(noun: Noun, data: bytes, bounds: Bounds) -> list[dict[str, Any]]:
    """The rows of a Parquet file. Raises `Corrupt` (`snapshot_unreadable`) where they are not of this noun, and
    `BadInput` (`snapshot_too_large`)."""
    try:
        schema, rows = read_rows(partial(_opened, data), bounds)
    except TooLarge as error:
        raise too_large(f"a part with {noun}: {error}") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Corrupt("snapshot_unreadable", f"a part with {noun} can't be read: {error}") from error
    if not schema.equals(SCHEMAS[noun]):
        raise Corrupt("snapshot_unreadable", f"a part with {noun} has other columns than this version's")
    return rows


def too_large(what: str) -> BadInput:
    """The error for a part that memory might not hold."""
    return BadInput(
        "snapshot_too_large",
        f"the snapshot has {what}",
        fix="where you trust its signer and have the memory, allow larger parts: --max-part-mib",
    )


def _opened(data: bytes, shared: Sequence[str]) -> Any:
    return pq.ParquetFile(io.BytesIO(data), read_dictionary=list(shared))
