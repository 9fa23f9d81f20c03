"""Images in zip and tar files; WebDataset's tars are tars with side files of the same key, which are no images.

Archives are not trusted: a member is read up to a limit, links are no images, and an archive that decompresses to far
more than its own size is broken.
"""

import lzma
import tarfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from captioner.sources.bounded import Bounded
from captioner.sources.item import Item, Open, Read
from captioner.sources.naming import is_hidden, member_uri
from scenes.errors import BadInput

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_SIDE = {".json", ".txt", ".cls", ".caption", ".npy", ".id", ".pyd", ".csv"}
_MOST_STREAMED = 200_000_000
_PIECE = 1_000_000
_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""What zipfile decompresses no further than it is asked to."""
_FAULTS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, LookupError, ValueError)
"""What archives that are broken, or made to break their reader, raise."""


def zip_items(open_: Open, uri: str) -> Iterator[Item]:
    """The members of a zip; several may be read at once. Raises `BadInput` (`source_broken`)."""
    try:
        archive = _opened_zip(open_)
    except _FAULTS as error:
        raise _broken(uri, error) from error
    for member in archive.infolist():
        if not member.is_dir() and not is_hidden(member.filename):
            yield Item(member_uri("zip", member.filename, uri), _of_zip(archive, member))


def _opened_zip(open_: Open) -> zipfile.ZipFile:
    """The archive; its file is closed with it, and at once where it is no zip. Raises one of `_FAULTS`."""
    file = open_()
    try:
        archive = zipfile.ZipFile(file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive, file.close)
    return archive


def tar_items(open_: Open, uri: str, *, in_place: bool) -> Iterator[Item]:
    """The members of a tar, read once from its start; those of a plain one `in_place`, each when it is wanted.

    Raises `BadInput` (`source_broken`).
    """
    try:
        with open_() as file, Bounded(file) as plain, tarfile.open(fileobj=plain, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # a stream of millions needs none of them
                if member.isreg() and _is_image(member.name):
                    name = member_uri("tar", member.name, uri)
                    yield _in_tar(name, open_, tar, member, in_place=in_place and not plain.is_packed)
    except _FAULTS as error:
        raise _broken(uri, error) from error


def _in_tar(name: str, open_: Open, tar: tarfile.TarFile, member: tarfile.TarInfo, *, in_place: bool) -> Item:
    if member.issparse():
        return Item(name, _sparse)
    if in_place:
        return Item(name, _of_range(open_, member.offset_data, member.size))
    file = tar.extractfile(member)
    return Item.of_bytes(name, _in_pieces(file, _MOST_STREAMED + 1) if file else b"")


def _sparse(_limit_bytes: int) -> bytes:
    raise OSError("the member is stored with holes, as no image is")


def _in_pieces(file: IO[bytes], most: int) -> bytes:
    pieces, size = [], 0
    while size < most and (piece := file.read(min(_PIECE, most - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _is_image(name: str) -> bool:
    return not is_hidden(name.removeprefix("./")) and Path(name).suffix.lower() not in _SIDE


def _of_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Read:
    def read(limit_bytes: int) -> bytes:
        if member.compress_type not in _BOUNDED:
            raise OSError("the member is compressed in a way that can't be read within bounds; use deflate")
        try:
            with archive.open(member) as file:
                return file.read(limit_bytes + 1)
        except OSError:
            raise
        except Exception as error:  # a broken member raises zlib.error, BadZipFile, RuntimeError (a password) …
            raise OSError(f"the member can't be read: {type(error).__name__}") from error

    return read


def _of_range(open_: Open, start: int, size: int) -> Read:
    def read(limit_bytes: int) -> bytes:
        with open_() as file:
            file.seek(start)
            data = file.read(min(size, limit_bytes + 1))
        if len(data) < min(size, limit_bytes + 1):
            raise OSError("the archive ends inside this member")
        return data

    return read


def _broken(uri: str, error: Exception) -> BadInput:
    return BadInput("source_broken", f"{uri} can't be read: {error}", fix="what was read before it is kept; mend it")
