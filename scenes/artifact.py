"""Files that are whole or absent: write beside, fsync, rename; folders with a manifest that is verified when read."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from scenes.errors import Corrupt
from scenes.host.private_files import make_folder

MANIFEST = "manifest.json"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Manifest(BaseModel):
    """What a finished folder holds: each file's SHA-256 and size, and facts about the whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    facts: dict[str, Any]
    sha256: dict[str, str]
    bytes: dict[str, int]

    @model_validator(mode="after")
    def _names_each_file_twice(self) -> Self:
        if self.sha256.keys() != self.bytes.keys():
            raise ValueError("digests and sizes are of different files")
        return self


def write_file(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old bytes or the new ones, also after a power cut.

    The file and missing folders are for this user alone; `shared` leaves that to the umask.
    """
    if shared:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_folder(path.parent)
    beside = _beside(path)
    try:
        with os.fdopen(os.open(beside, _NEW, 0o666 if shared else 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_folder(folder: Path, kind: str, facts: Mapping[str, Any], fill: Callable[[Path], None]) -> Manifest:
    """Let `fill` write files into a fresh folder beside `folder`, seal it with a manifest, rename it into place.

    The folder and all in it are for this user alone. Raises whatever `fill` raises, and `FileExistsError` where
    `folder` exists already; nothing is left behind then.
    """
    if folder.exists():
        raise FileExistsError(folder)
    beside = _beside(folder)
    make_folder(beside)
    try:
        fill(beside)
        manifest = _seal(beside, kind, facts)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync_folder(folder.parent)
    return manifest


def read_manifest(folder: Path, kind: str) -> Manifest:
    """The manifest of a folder, its files not yet verified. Raises `Corrupt` (`artifact_corrupt`)."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise Corrupt("artifact_corrupt", f"{folder} has no readable manifest", fix="build it again") from error
    if manifest.kind != kind:
        raise Corrupt("artifact_corrupt", f"{folder} is a {manifest.kind}, not a {kind}")
    return manifest


def verify_folder(folder: Path, kind: str) -> Manifest:
    """The manifest of a folder that holds just the files it names, each of its size and SHA-256. Raises `Corrupt`."""
    manifest = read_manifest(folder, kind)
    strays = {path.relative_to(folder).as_posix() for path in _files(folder)} - manifest.sha256.keys() - {MANIFEST}
    if strays:
        raise Corrupt("artifact_corrupt", f"{folder} holds {min(strays)!r}, which its manifest does not name")
    for name, digest in manifest.sha256.items():
        if not _is_intact(folder / name, manifest.bytes[name], digest):
            raise Corrupt("artifact_corrupt", f"{folder / name} is missing or altered", fix="build it again")
    return manifest


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """Hex SHA-256 of a file that is read once a process: again only where its size, times or inode are others.

    For large files that are loaded often. Not for finding what went bad on a disk: that leaves the times as they are.
    """
    found = path.stat()
    return _sha256_of(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1_024)
def _sha256_of(path: Path, *_state: int) -> str:
    return file_sha256(path)


def _is_intact(path: Path, size: int, digest: str) -> bool:
    return path.is_file() and path.stat().st_size == size and file_sha256(path) == digest


def _seal(folder: Path, kind: str, facts: Mapping[str, Any]) -> Manifest:
    files = _files(folder)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    for path in files:
        _sync_file(path)
    names = {path: path.relative_to(folder).as_posix() for path in files}
    manifest = Manifest(
        kind=kind,
        facts=dict(facts),
        sha256={names[path]: file_sha256(path) for path in files},
        bytes={names[path]: path.stat().st_size for path in files},
    )
    write_file(folder / MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True).encode())
    return manifest


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_folder = _sync_file
