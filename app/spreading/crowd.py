"""How many connections each server process has, told to the others through files in a folder that they share."""

import contextlib
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

from app.processes import lives

_PREFIX = "connections-"
_BYTES = 8
_LOOK_EVERY_S = 1.0
"""So often is looked which processes there are; what they tell is read each time."""


class Alone:
    """A process that shares its socket with no other."""

    def came(self) -> None: ...

    def went(self) -> None: ...

    def has_more_than_another(self) -> bool:
        return False

    def leave(self) -> None: ...


class Crowd:
    """This process's connections beside those of the others; to be used from one thread."""

    def __init__(self, folder: Path, process: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._process = os.getpid() if process is None else process
        self._clock = clock
        self._mine = 0
        self._told = _mapped(folder / f"{_PREFIX}{self._process}", create=True)
        self._others: dict[int, mmap.mmap] = {}
        self._looked = -_LOOK_EVERY_S
        self._tell(0)

    @property
    def mine(self) -> int:
        return self._mine

    def came(self) -> None:
        self._tell(self._mine + 1)

    def went(self) -> None:
        self._tell(self._mine - 1)

    def has_more_than_another(self) -> bool:
        """Has another process that is there fewer connections?"""
        self._look()
        return any(int.from_bytes(told[:_BYTES], "little") < self._mine for told in self._others.values())

    def leave(self) -> None:
        """Be gone for the others, though connections may be left."""
        (self._folder / f"{_PREFIX}{self._process}").unlink(missing_ok=True)

    def _tell(self, mine: int) -> None:
        self._mine = mine
        self._told[:_BYTES] = mine.to_bytes(_BYTES, "little")

    def _look(self) -> None:
        if self._clock() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = self._clock()
        there = {int(file.name.removeprefix(_PREFIX)): file for file in self._folder.glob(f"{_PREFIX}*")}
        alive = {process: file for process, file in there.items() if process != self._process and lives(process)}
        for process in self._others.keys() - alive.keys():
            self._others.pop(process).close()
        for process in alive.keys() - self._others.keys():
            with contextlib.suppress(OSError, ValueError):  # it went, or is about to write its first number
                self._others[process] = _mapped(alive[process], create=False)


def _mapped(file: Path, *, create: bool) -> mmap.mmap:
    opened = os.open(file, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o600)
    try:
        if create:
            os.ftruncate(opened, _BYTES)
        return mmap.mmap(opened, _BYTES, access=mmap.ACCESS_WRITE if create else mmap.ACCESS_READ)
    finally:
        os.close(opened)
