"""What a source may read: everything for the command line; for jobs over REST what the operator allowed.

Everything that opens a source goes through a guard: every file, folder and URL, also those that a list file or a glob
leads to. A name is checked by `scenes.allowed.sources`. A path on disk is checked by what it really is, links
followed, and is opened step by step below the allowed folder without following links: a link that is put there
in between is refused. Guarded web requests follow no redirects.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scenes.allowed.sources import check_source, is_allowed, not_allowed

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


class Guard:
    """Decides what may be read, and opens it."""

    def __init__(self, allowed: Sequence[str] | None) -> None:
        """`allowed` are folders, files and URL prefixes; None allows everything."""
        self._allowed = allowed
        self._roots = [os.path.realpath(one) for one in allowed or () if "://" not in one]

    @property
    def follows_redirects(self) -> bool:
        return self._allowed is None

    def check(self, source: str) -> None:
        """May a source that somebody named be read? Raises `Forbidden` (`source_not_allowed`)."""
        if self._allowed is not None:
            check_source(source, self._allowed)
            if "://" not in source and not self.permits_path(Path(source)):
                raise not_allowed()

    def permits_url(self, url: str) -> bool:
        """May a URL be fetched?"""
        return self._allowed is None or is_allowed(url, self._allowed)

    def permits_path(self, path: Path) -> bool:
        """Does a path, links followed, lie below what is allowed?"""
        try:
            return self._allowed is None or bool(self._below(path))
        except OSError:
            return False

    def open(self, path: Path) -> IO[bytes]:
        """Open a file to read. Raises `PermissionError` where that is not allowed, and `OSError`."""
        if self._allowed is None:
            return path.open("rb")
        descriptor = _opened(*self._below(path), os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PermissionError(13, "no plain file")
        return os.fdopen(descriptor, "rb")

    @contextmanager
    def scan(self, folder: Path) -> "Iterator[Iterator[os.DirEntry[str]]]":
        """What a folder holds; the entries' `path` must not be used. Raises as `open` does."""
        if self._allowed is None:
            with os.scandir(folder) as entries:
                yield entries
            return
        descriptor = _opened(*self._below(folder), os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                yield entries
        finally:
            os.close(descriptor)

    def _below(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """The allowed path that a path lies below, and the steps from there."""
        real = os.path.realpath(path)
        for root in self._roots:
            if real == root:
                return root, ()
            if real.startswith(f"{root.rstrip('/')}/"):
                return root, tuple(real[len(root) :].strip("/").split("/"))
        raise PermissionError(13, "not below what jobs may read")


EVERYTHING = Guard(None)
"""The command line reads what its user may read."""


def refused(_limit_bytes: int) -> bytes:
    """Reads nothing: raises `PermissionError`."""
    raise PermissionError(13, "not below what jobs may read")


def _opened(root: str, steps: tuple[str, ...], flags: int) -> int:
    """A descriptor of what lies so many steps below a folder, no link followed on the way."""
    if not steps:
        return os.open(root, flags | _NO_LINK)
    at = os.open(root, _FOLDER | _NO_LINK)
    for step in steps[:-1]:
        at = _stepped(at, step, _FOLDER)
    return _stepped(at, steps[-1], flags)


def _stepped(folder: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags | _NO_LINK, dir_fd=folder)
    finally:
        os.close(folder)
