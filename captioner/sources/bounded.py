"""A file that may be compressed, read forward, within bounds on what it decompresses to."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from typing import IO

MOST_AT_ONCE = 4_000_000
"""No read of an archive's headers asks for more; a header that says it is larger is no header."""
FREE_BYTES = 1_000_000_000
MOST_TIMES = 100
"""Beyond `FREE_BYTES` an archive of images decompresses to at most so many times its own size."""
_PIECE = 1_000_000
Packed = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
_KINDS: tuple[tuple[bytes, Callable[[IO[bytes]], Packed]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file, mode="rb")),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_MAGIC_BYTES = 8


class Bounded(io.RawIOBase):
    """The decompressed bytes of a file that can seek; itself it seeks forward only where it decompresses."""

    def __init__(self, file: IO[bytes], free_bytes: int = FREE_BYTES) -> None:
        super().__init__()
        self._file, self._free = file, free_bytes
        start = file.read(_MAGIC_BYTES)
        file.seek(0)
        unpacked = next((make for magic, make in _KINDS if start.startswith(magic)), None)
        self._plain: IO[bytes] | Packed = file if unpacked is None else unpacked(file)
        self.is_packed = unpacked is not None

    def read(self, size: int = -1, /) -> bytes:
        """Raises `OSError` where more is asked for at once, or came out in all, than an archive of images holds."""
        if not 0 <= size <= MOST_AT_ONCE:
            raise OSError("the archive has a header that is too large")
        data = self._plain.read(size)
        if self.is_packed and self._plain.tell() > max(self._free, MOST_TIMES * self._file.tell()):
            raise OSError(f"the archive decompresses to more than {MOST_TIMES} times its size")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if not self.is_packed:
            return self._plain.seek(offset, whence)
        if whence != io.SEEK_SET or offset < self._plain.tell():
            raise OSError("a compressed archive is read forward only")
        while (left := offset - self._plain.tell()) > 0 and self.read(min(_PIECE, left)):
            pass
        return self._plain.tell()

    def tell(self) -> int:
        return self._plain.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The file beneath stays open."""
        if self.is_packed:
            self._plain.close()
        super().close()
