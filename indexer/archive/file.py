"""The file itself: a zip of Parquet parts, closed by a signed manifest; written beside and renamed, read by parts."""

import hashlib
import os
import time
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from indexer.archive.manifest import MANIFEST, SIGNATURE, Manifest, Noun, Part, verified
from indexer.archive.tables import from_parquet, to_parquet
from scenes.errors import Corrupt, EnvironmentMissing, NotFound

MOST_BYTES = 512 * 1024 * 1024
"""A part larger than this is refused: what is written here is far smaller."""
_STALE_S = 3_600.0
_FAULTS = (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, ValueError)


class ArchiveWriter:
    """Adds parts; memory holds one of them at a time."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.parts: list[Part] = []

    def add(self, noun: Noun, number: int, rows: Sequence[dict[str, Any]]) -> None:
        """Add the rows of one noun as part `number`; none at all make no part."""
        if rows:
            data, name = to_parquet(noun, rows), f"{noun}/{number:06}.parquet"
            digest = hashlib.sha256(data).hexdigest()
            self.parts.append(Part(name=name, noun=noun, rows=len(rows), bytes=len(data), sha256=digest))
            self._archive.writestr(name, data)

    def close(self, manifest: bytes, signature: bytes) -> None:
        self._archive.writestr(MANIFEST, manifest)
        self._archive.writestr(SIGNATURE, signature)


@contextmanager
def written(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive at `path`, readable by its owner alone: whole when the block ends, else the old one or none.

    Raises `EnvironmentMissing` (`snapshot_unwritable`): a full disk, a folder that is closed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clean(path)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    yield ArchiveWriter(archive)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        why = error.strerror or error
        raise EnvironmentMissing("snapshot_unwritable", f"{path} can't be written: {why}", fix="make room") from error


class ArchiveReader:
    """A verified archive: its manifest is signed, its parts are what the manifest says."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def rows(self, part: Part) -> list[dict[str, Any]]:
        """The rows of a part, its bytes verified once more. Raises `Corrupt`."""
        rows = from_parquet(part.noun, _checked(self._archive, part))
        if len(rows) != part.rows:
            raise Corrupt("snapshot_unreadable", f"{part.name} holds {len(rows)} rows, the manifest says {part.rows}")
        return rows


@contextmanager
def opened(path: Path) -> Iterator[ArchiveReader]:
    """An archive, its signature and every byte of every part verified before it is handed out.

    Raises `NotFound` (`snapshot_missing`), `BadInput` (`snapshot_version_unknown`), `Corrupt`
    (`snapshot_unreadable`, `snapshot_signature_wrong`, `snapshot_altered`).
    """
    if not path.is_file():
        raise NotFound("snapshot_missing", f"there is no file {path}")
    with _told_plainly(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield ArchiveReader(archive, _verified(path, archive))


def _verified(path: Path, archive: zipfile.ZipFile) -> Manifest:
    with _told_plainly(path):
        manifest = verified(_small(archive, MANIFEST), _small(archive, SIGNATURE))
        strays = set(archive.namelist()) - {part.name for part in manifest.parts} - {MANIFEST, SIGNATURE}
    if strays:
        raise Corrupt("snapshot_altered", f"{path} holds {min(strays)!r}, which its manifest does not name")
    for part in manifest.parts:
        _checked(archive, part)
    return manifest


def _checked(archive: zipfile.ZipFile, part: Part) -> bytes:
    with _told_plainly(Path(part.name)):
        size = archive.getinfo(part.name).file_size
        data = archive.read(part.name) if size == part.bytes and size <= MOST_BYTES else b""
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise Corrupt("snapshot_altered", f"{part.name} is not what was signed", fix="use another copy")
    return data


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise Corrupt("snapshot_unreadable", f"{name} is too large")
    return archive.read(name)


@contextmanager
def _told_plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        why = f"{path} is cut short, altered or no snapshot: {error}"
        raise Corrupt("snapshot_unreadable", why, fix="use another copy") from error


def _clean(path: Path) -> None:
    """Remove what a killed writer left beside; a living one's part is younger."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        if time.time() - part.stat().st_mtime > _STALE_S:
            part.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
