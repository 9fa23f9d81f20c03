"""Images in zip and tar files; WebDataset's tars are tars with side files of the same key, which are no images."""

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from captioner.sources.item import Item, Read
from captioner.sources.naming import is_hidden, member_uri
from scenes.errors import BadInput

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_SIDE = {".json", ".txt", ".cls", ".caption", ".npy", ".id", ".pyd", ".csv"}
_MOST_STREAMED = 200_000_000


def zip_items(file: Path | IO[bytes], uri: str) -> Iterator[Item]:
    """The members of a zip; several may be read at once. Raises `BadInput` (`source_broken`)."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise _broken(uri, error) from error
    for member in archive.infolist():
        if not member.is_dir() and not is_hidden(member.filename):
            yield Item(member_uri("zip", member.filename, uri), _of_zip(archive, member))


def tar_items(path: Path, uri: str) -> Iterator[Item]:
    """The members of a tar on this machine; a plain one is read in place. Raises `BadInput` (`source_broken`)."""
    if path.name.endswith(".tar"):
        with path.open("rb") as file:
            for member in _members(file, "r:", uri):
                if member.isreg():
                    name = member_uri("tar", member.name, uri)
                    yield Item(name, _of_range(path, member.offset_data, member.size))
    else:
        with path.open("rb") as file:
            yield from streamed_tar_items(file, uri)


def streamed_tar_items(file: IO[bytes], uri: str) -> Iterator[Item]:
    """The members of a tar that can only be read once, from its start. Raises `BadInput` (`source_broken`)."""
    try:
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                _forget(tar)
                if member.isreg() and _is_image(member.name):
                    held = tar.extractfile(member)
                    data = held.read(_MOST_STREAMED + 1) if held else b""
                    yield Item.of_bytes(member_uri("tar", member.name, uri), data)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _broken(uri, error) from error


def _members(file: IO[bytes], mode: str, uri: str) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for member in tar:
                _forget(tar)
                if _is_image(member.name):
                    yield member
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _broken(uri, error) from error


def _forget(tar: tarfile.TarFile) -> None:
    """A TarFile remembers all members it has seen; a stream of millions needs none of them."""
    tar.members = []  # type: ignore[attr-defined]


def _is_image(name: str) -> bool:
    return not is_hidden(name.removeprefix("./")) and Path(name).suffix.lower() not in _SIDE


def _of_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Read:
    def read(limit_bytes: int) -> bytes:
        try:
            with archive.open(member) as file:
                return file.read(limit_bytes + 1)
        except OSError:
            raise
        except Exception as error:  # a broken member raises zlib.error, BadZipFile, RuntimeError (a password) …
            raise OSError(f"the member can't be read: {type(error).__name__}") from error

    return read


def _of_range(path: Path, start: int, size: int) -> Read:
    def read(limit_bytes: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(min(size, limit_bytes + 1))
        if len(data) < min(size, limit_bytes + 1):
            raise OSError("the archive ends inside this member")
        return data

    return read


def _broken(uri: str, error: Exception) -> BadInput:
    return BadInput("source_broken", f"{uri} can't be read: {error}", fix="what was read before it is kept; mend it")
