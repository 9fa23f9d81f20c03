"""The rows of a Parquet file that another machine may have written, within bounds on rows and bytes.

A small file can hold gigabytes: pages compress well, and a value that is stored once can be in every row. So the sizes
that the file declares are checked before a page is read, values that repeat are read once and shared by their rows, and
what the rows hold is counted. pyarrow is not imported here: its readers are passed in (`pyarrow.parquet.ParquetFile`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SHARED = {"string", "binary"}
_OF_ANY_SIZE = {"BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"}
_NUMBER_BYTES = 8


class TooLarge(ValueError):
    """A file holds more than its reader allows."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """So many rows, and so many bytes once decompressed, may a file hold."""

    rows: int
    bytes: int


def read_rows(
    open_: Callable[[Sequence[str]], Any], bounds: Bounds, names: Sequence[str] | None = None
) -> tuple[Any, list[dict[str, Any]]]:
    """The schema of a file and its rows; `names` are the columns to read, None for all.

    `open_` opens the file as a `ParquetFile` with the given columns as dictionaries. Raises `TooLarge`, and what it
    raises.
    """
    with open_(()) as file:
        schema = file.schema_arrow
        wanted = [field for field in schema if names is None or field.name in names]
        shared = [field.name for field in wanted if str(field.type) in _SHARED]
        _check(file.metadata, bounds, {field.name: field.name in shared for field in wanted})
    with open_(shared) as file:
        table = file.read(columns=names)
    columns = {name: _values(table.column(name)) for name in table.column_names}
    if sum(_size(value) for values in columns.values() for value in values) > bounds.bytes:
        raise TooLarge(f"its rows hold more than {bounds.bytes} bytes")
    return schema, [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _check(footer: Any, bounds: Bounds, wanted: Mapping[str, bool]) -> None:
    """`wanted` says of each column to read whether its values are shared."""
    if footer.num_rows > bounds.rows:
        raise TooLarge(f"it holds {footer.num_rows} rows, more than {bounds.rows}")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    named = [(chunk.path_in_schema.split(".")[0], chunk) for chunk in chunks]
    size = sum(_declared(chunk, wanted[name]) for name, chunk in named if name in wanted)
    if size > bounds.bytes:
        raise TooLarge(f"it decompresses to {size} bytes, more than {bounds.bytes}")


def _declared(chunk: Any, is_shared: bool) -> int:
    """What a column holds at most; in one whose values are not shared each could be as large as all of them."""
    size, values = int(chunk.total_uncompressed_size), int(chunk.num_values)
    if is_shared or chunk.physical_type not in _OF_ANY_SIZE:
        return max(size, values * _NUMBER_BYTES)
    return size * max(1, values)


def _values(column: Any) -> list[Any]:
    values: list[Any] = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            known = chunk.dictionary.to_pylist()
            values += [None if at is None else known[at] for at in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return values


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return sum(map(_size, value)) if isinstance(value, list) else 1
