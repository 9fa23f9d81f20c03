"""Images in a column of a Parquet file: bytes, or a struct with `bytes` as Hugging Face datasets write it."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from captioner.sources.item import Item, Open
from captioner.sources.naming import row_uri
from scenes.errors import BadInput

_ROWS_AT_ONCE = 16
_HELD_BYTES = 128_000_000
_FREE_BYTES = 1_000_000_000
_MOST_TIMES = 50
"""Beyond `_FREE_BYTES` a row group of images decompresses to at most so many times its own size."""
_NAMES = ("image", "img", "bytes", "image_bytes", "jpg", "png", "content", "data")


def parquet_items(open_: Open, uri: str) -> Iterator[Item]:
    """One item a row, from the image column. Raises `BadInput`: `source_broken`, `image_column_missing`."""
    try:
        with open_() as file, pq.ParquetFile(file) as table:
            column = _image_column(table.schema_arrow, uri)
            for row, value in enumerate(_values(table, column)):
                yield Item.of_bytes(row_uri(uri, row), _bytes(value))
    except (pa.ArrowException, OSError) as error:
        raise BadInput("source_broken", f"{uri} can't be read: {error}") from error


def _values(table: Any, column: str) -> Iterator[Any]:
    """The values of a column, so few rows at a time that they fit into memory though each were the largest."""
    for number in range(table.num_row_groups):
        size = _checked_size(table.metadata.row_group(number), column)
        at_once = max(1, min(_ROWS_AT_ONCE, _HELD_BYTES // max(1, size)))
        for batch in table.iter_batches(batch_size=at_once, row_groups=[number], columns=[column]):
            yield from batch.column(0).to_pylist()


def _checked_size(group: Any, column: str) -> int:
    """How many bytes the column of a row group decompresses to. Raises `OSError` where those are too many."""
    chunks = [group.column(i) for i in range(group.num_columns)]
    mine = [one for one in chunks if one.path_in_schema.split(".")[0] == column]
    size = sum(int(one.total_uncompressed_size) for one in mine)
    if size > max(_FREE_BYTES, _MOST_TIMES * sum(int(one.total_compressed_size) for one in mine)):
        raise OSError(f"a row group decompresses to {size} bytes, over {_MOST_TIMES} times its size")
    return size


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
