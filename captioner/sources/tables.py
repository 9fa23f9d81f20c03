"""Images in a column of a Parquet file: bytes, or a struct with `bytes` as Hugging Face datasets write it."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from captioner.sources.item import Item
from captioner.sources.naming import row_uri
from scenes.errors import BadInput

_ROWS_AT_ONCE = 16
_NAMES = ("image", "img", "bytes", "image_bytes", "jpg", "png", "content", "data")


def parquet_items(file: Path | IO[bytes], uri: str) -> Iterator[Item]:
    """One item a row, from the image column. Raises `BadInput`: `source_broken`, `image_column_missing`."""
    try:
        with pq.ParquetFile(file) as table:
            column = _image_column(table.schema_arrow, uri)
            row = 0
            for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[column]):
                for value in batch.column(0).to_pylist():
                    yield Item.of_bytes(row_uri(uri, row), _bytes(value))
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise BadInput("source_broken", f"{uri} can't be read: {error}") from error


def _image_column(schema: Any, uri: str) -> str:
    fits = [field.name for field in schema if _holds_bytes(field.type)]
    if not fits:
        raise BadInput(
            "image_column_missing", f"{uri} has no column of image bytes", fix="a binary column, or a struct"
        )
    return str(next((name for name in _NAMES if name in fits), fits[0]))


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _bytes(value: Any) -> bytes:
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else b""
