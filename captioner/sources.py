"""Where images come from: a folder, one file, a glob or a list file. Nothing of a name ever reaches an engine."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenes.errors import BadInput

_LISTS = {".txt", ".list"}
_GLOB = set("*?[")


@dataclass(frozen=True, slots=True)
class Item:
    """One image to read."""

    path: Path

    @property
    def uri(self) -> str:
        return self.path.absolute().as_uri()

    def read(self, limit_bytes: int) -> bytes:
        """The file's bytes, at most `limit_bytes` + 1 of them. Raises `OSError`."""
        with self.path.open("rb") as file:
            return file.read(limit_bytes + 1)


def items(source: str) -> Iterator[Item]:
    """The images of a source, in a stable order, hidden files left out.

    Raises `BadInput`: `source_unknown`, `source_empty`.
    """
    found = False
    for path in _paths(source):
        found = True
        yield Item(path)
    if not found:
        raise BadInput("source_empty", f"{source!r} holds no files", fix="name a folder, a file, a glob or a .txt list")


def _paths(source: str) -> Iterator[Path]:
    path = Path(source)
    if path.is_dir():
        return _walk(path)
    if path.suffix in _LISTS and path.is_file():
        return _listed(path)
    if path.is_file() or path.is_symlink():
        return iter([path])
    if _GLOB & set(source):
        return (Path(name) for name in sorted(glob.glob(source, recursive=True)) if not Path(name).is_dir())  # noqa: PTH207
    raise BadInput("source_unknown", f"there is no {source!r}", fix="name a folder, a file, a glob or a .txt list")


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _listed(listing: Path) -> Iterator[Path]:
    for line in listing.read_text().splitlines():
        if line.strip():
            yield (listing.parent / line.strip()) if not Path(line.strip()).is_absolute() else Path(line.strip())
