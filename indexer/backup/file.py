"""The file itself: a zip of Parquet parts, closed by a signed manifest; written beside and renamed, read by parts."""

import hashlib
import os
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from indexer.backup.manifest import MANIFEST, SIGNATURE, Manifest, Noun, Part, verified
from indexer.backup.tables import from_parquet, to_parquet, too_large
from scenes.bounded_rows import Bounds
from scenes.errors import Corrupt, EnvironmentMissing, NotFound

MIB = 1024 * 1024
BOUNDS = Bounds(rows=1_000_000, bytes=512 * MIB)
"""A part that holds more than this is refused: what is written here is far smaller."""
_MOST_MANIFEST, _MOST_SIGNATURE = 64 * MIB, 4_096
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

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, bounds: Bounds) -> None:
        self._archive = archive
        self._bounds = bounds
        self.manifest = manifest

    def rows(self, part: Part) -> list[dict[str, Any]]:
        """The rows of a part, its bytes verified once more. Raises `Corrupt`, `BadInput` (`snapshot_too_large`)."""
        rows = from_parquet(part.noun, _checked(self._archive, part, self._bounds), self._bounds)
        if len(rows) != part.rows:
            raise Corrupt("snapshot_unreadable", f"{part.name} holds {len(rows)} rows, the manifest says {part.rows}")
        return rows


@contextmanager
def opened(
    path: Path, judge: Callable[[Manifest], None] = lambda _manifest: None, bounds: Bounds = BOUNDS
) -> Iterator[ArchiveReader]:
    """An archive, its signature and every byte of every part verified before it is handed out.

    `judge` sees the manifest once its signature is verified, before a part is read, and raises where the signer or the
    settings will not do. A part holds no more than `bounds`, also decompressed.
    Raises `NotFound` (`snapshot_missing`), `BadInput` (`snapshot_version_unknown`, `snapshot_too_large`), `Corrupt`
    (`snapshot_unreadable`, `snapshot_signature_wrong`, `snapshot_altered`), and as `judge` does.
    """
    if not path.is_file():
        raise NotFound("snapshot_missing", f"there is no file {path}")
    with _told_plainly(path):
        archive = zipfile.ZipFile(path)
    with archive:
        manifest = _signed(path, archive)
        judge(manifest)
        for part in manifest.parts:
            _checked(archive, part, bounds)
        yield ArchiveReader(archive, manifest, bounds)


def _signed(path: Path, archive: zipfile.ZipFile) -> Manifest:
    with _told_plainly(path):
        manifest = verified(_small(archive, MANIFEST, _MOST_MANIFEST), _small(archive, SIGNATURE, _MOST_SIGNATURE))
        strays = set(archive.namelist()) - {part.name for part in manifest.parts} - {MANIFEST, SIGNATURE}
    if strays:
        raise Corrupt("snapshot_altered", f"{path} holds {min(strays)!r}, which its manifest does not name")
    return manifest


def _checked(archive: zipfile.ZipFile, part: Part, bounds: Bounds) -> bytes:
    if part.bytes > bounds.bytes or part.rows > bounds.rows:
        raise too_large(f"a part with {part.noun} of {part.bytes} bytes and {part.rows} rows")
    with _told_plainly(Path(part.name)):
        data = _stored(archive, part.name, part.bytes)
    if len(data) != part.bytes or hashlib.sha256(data).hexdigest() != part.sha256:
        raise Corrupt("snapshot_altered", f"{part.name} is not what was signed", fix="use another copy")
    return data


def _small(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    data = _stored(archive, name, most)
    if not data:
        raise Corrupt("snapshot_unreadable", f"{name} is empty, or too large")
    return data


def _stored(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of at most so many bytes, else none; members are stored as they are, so that none grows when read."""
    found = archive.getinfo(name)
    if found.compress_type != zipfile.ZIP_STORED or not found.file_size == found.compress_size <= most:
        return b""
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
