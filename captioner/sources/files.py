"""Files on this machine: folders, globs, lists."""

import glob
from collections.abc import Iterator
from pathlib import Path

from captioner.sources.guard import Guard
from scenes.errors import BadInput

MAX_LINE_BYTES = 65_536


def walk(folder: Path, guard: Guard) -> Iterator[Path]:
    """All files below a folder, as the system lists them; dot files and linked folders left out."""
    with guard.scan(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from walk(folder / entry.name, guard)
            elif not entry.is_dir():
                yield folder / entry.name


def matches(pattern: str) -> Iterator[Path]:
    """The files that a glob names; `**` reaches into folders."""
    return (path for name in glob.iglob(pattern, recursive=True) if not (path := Path(name)).is_dir())  # noqa: PTH207


def lines(listing: Path, guard: Guard) -> Iterator[str]:
    """What a list file names: URLs as they are, paths relative to the list; empty lines and # comments left out.

    Raises `BadInput` (`source_broken`) where it can't be read or a line is longer than any name.
    """
    try:
        with guard.open(listing) as file:
            while raw := file.readline(MAX_LINE_BYTES + 1):
                if len(raw) > MAX_LINE_BYTES:
                    raise BadInput("source_broken", f"{listing} has a line of more than {MAX_LINE_BYTES} bytes")
                line = raw.decode("utf-8", "surrogateescape").strip()
                if line and not line.startswith("#"):
                    yield line if "://" in line else str(listing.parent / line)
    except OSError as error:
        raise BadInput("source_broken", f"{listing} can't be read: {error.strerror or error}") from error
