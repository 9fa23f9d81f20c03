"""Import of descriptions made elsewhere: JSON Lines, each line validated, errors told with their line numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenes.catalog.json_lines import MAX_LINE_BYTES, Line, LineError, parsed
from scenes.catalog.publishing import Publication
from scenes.errors import BadInput

__all__ = ["Line", "LineError", "read"]


def read(path: Path) -> Iterator[Publication | LineError]:
    """The lines of a file, one by one; empty lines are skipped. Raises `BadInput` (`file_unreadable`)."""
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    yield LineError(number, f"the line is longer than {MAX_LINE_BYTES} bytes")
                    _skip_line(file, raw)
                elif raw.strip():
                    yield parsed(number, raw)
    except OSError as error:
        raise BadInput("file_unreadable", f"{path} can't be read: {error.strerror}") from error


def _skip_line(file: Any, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_LINE_BYTES)
