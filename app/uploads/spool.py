"""The spool: uploaded images on disk, each encrypted under a key of its own that never touches a disk as it is.

The key leaves here wrapped (AES key wrap, RFC 3394) under a secret that is not in Postgres, for one file alone: what
Postgres keeps of it in its tables, its write-ahead log and its backups opens nothing without that secret.

A file is a sequence of sealed chunks (AES-256-GCM). A chunk's nonce is its number and whether it is the last, so that
chunks can be neither swapped nor cut off; its associated data is the name of the file. (The STREAM construction of
Hoang, Reyhanitabar, Rogaway and Vizár, 2015.) Beside `scenes.signing.signer` the only door to cryptography.
"""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from app.http.security import Secret
from scenes.errors import Corrupt, EnvironmentMissing
from scenes.host.private_files import make_folder

CHUNK_BYTES = 256 * 1024
_TAG_BYTES = 16
_KEY_BYTES = 32
_SUFFIX = ".sealed"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An image in the spool: its wrapped key, the hex SHA-256 of its bytes, how many they are."""

    key: bytes
    image_id: str
    size: int


class Spool:
    """A folder of sealed files, named by their jobs. Any key but a file's own reads nothing."""

    def __init__(self, folder: Path, secret: Secret) -> None:
        """`secret` is that of the installation: servers and workers have the same."""
        self._folder, self._secret = folder, secret

    async def take(self, name: UUID, chunks: AsyncIterator[bytes]) -> Sealed:
        """Seal a stream into a durable file; what was written is removed where the stream breaks."""
        make_folder(self._folder)
        key, path = AESGCM.generate_key(8 * _KEY_BYTES), self._path(name)
        digest, size = hashlib.sha256(), 0
        try:
            with _private(path) as file:
                seal = _Seal(file, key, name)
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    await asyncio.to_thread(seal.write, chunk)
                await asyncio.to_thread(seal.end)
        except BaseException:
            self.drop(name)
            raise
        return Sealed(aes_key_wrap(self._wrapping(name), key), digest.hexdigest(), size)

    def key(self, name: UUID, wrapped: bytes | None) -> bytes | None:
        """The key of a sealed file, None where it is gone. Raises `EnvironmentMissing` (`upload_secret_differs`).

        A key that an earlier version stored is not wrapped.
        """
        if wrapped is None or len(wrapped) == _KEY_BYTES:
            return wrapped
        try:
            return aes_key_unwrap(self._wrapping(name), wrapped)
        except InvalidUnwrap as error:
            raise EnvironmentMissing(
                "upload_secret_differs",
                "the upload was sealed by a server with another secret",
                fix="give servers and workers the same WORDSIGHT_SECRET; without it, the same WORDSIGHT_HOME",
            ) from error

    def read(self, name: UUID, wrapped: bytes | None) -> bytes:
        """The bytes of a sealed file. Raises `Corrupt` (`upload_lost`): no key, no file, or not what was sealed; and as
        `key` does."""
        key = self.key(name, wrapped)
        try:
            if key is None:
                raise ValueError("its key is gone")
            with self._path(name).open("rb") as file:
                return b"".join(_opened(file, AESGCM(key), name))
        except (OSError, ValueError, InvalidTag) as error:
            raise Corrupt("upload_lost", f"the uploaded image is lost: {error or 'it was changed'}") from error

    def drop(self, name: UUID) -> None:
        """Remove a file; one that is gone already is no error."""
        self._path(name).unlink(missing_ok=True)

    def older_than(self, seconds: float) -> list[UUID]:
        """The files that were written so long ago or longer."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime >= seconds:
                    found.append(UUID(path.stem))
        return found

    def _wrapping(self, name: UUID) -> bytes:
        """256 bits that wrap the key of this one file."""
        return self._secret.digest("upload-key", str(name))

    def _path(self, name: UUID) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


class _Seal:
    def __init__(self, file: IO[bytes], key: bytes, name: UUID) -> None:
        self._file, self._cipher, self._name = file, AESGCM(key), name
        self._number, self._rest = 0, b""

    def write(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) > CHUNK_BYTES:
            self._put(self._rest[:CHUNK_BYTES], last=False)
            self._rest = self._rest[CHUNK_BYTES:]

    def end(self) -> None:
        self._put(self._rest, last=True)
        self._rest = b""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, self._name.bytes))
        self._number += 1


def _opened(file: IO[bytes], cipher: AESGCM, name: UUID) -> Iterator[bytes]:
    number, chunk = 0, file.read(CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = file.read(CHUNK_BYTES + _TAG_BYTES)
        yield cipher.decrypt(_nonce(number, last=not following), chunk, name.bytes)
        if not following:
            return
        number, chunk = number + 1, following


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
