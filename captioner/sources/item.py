"""One image to read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from captioner.sources.guard import Guard, refused

Read = Callable[[int], bytes]
Open = Callable[[], IO[bytes]]
"""Opens an archive or a table from its start; raises `OSError`."""


class Lost(OSError):
    """The image was there and is gone for good: an upload whose key or file is lost."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its URI and how to read at most so many bytes of it; `read` raises `OSError` and nothing else.

    `held_bytes` are in memory already.
    """

    uri: str
    read: Read
    held_bytes: int = 0

    @classmethod
    def of_file(cls, path: Path, guard: Guard) -> "Item":
        """An image in a file of its own."""

        def read(limit_bytes: int) -> bytes:
            with guard.open(path) as file:
                return file.read(limit_bytes + 1)

        return cls(path.absolute().as_uri(), read)

    @classmethod
    def not_allowed(cls, uri: str) -> "Item":
        """An image that a guard keeps from being read."""
        return cls(uri, refused)

    @classmethod
    def of_bytes(cls, uri: str, data: bytes) -> "Item":
        """An image that was read already, as a stream allows no second look."""
        return cls(uri, lambda limit_bytes: data[: limit_bytes + 1], len(data))
