"""Files on this machine: folders, globs, lists."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, as the system lists them; dot files and linked folders left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from walk(Path(entry.path))
            elif not entry.is_dir():
                yield Path(entry.path)


def matches(pattern: str) -> Iterator[Path]:
    """The files that a glob names; `**` reaches into folders."""
    return (path for name in glob.iglob(pattern, recursive=True) if not (path := Path(name)).is_dir())  # noqa: PTH207


def lines(listing: Path) -> Iterator[str]:
    """What a list file names: URLs as they are, paths relative to the list; empty lines and # comments left out."""
    with listing.open(encoding="utf-8", errors="surrogateescape") as file:
        for raw in file:
            line = raw.strip()
            if line and not line.startswith("#"):
                yield line if "://" in line else str(listing.parent / line)
