"""Importing a library without the optional libraries that it would load and not use here."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Until the block ends, top-level modules of these names can't be imported by this thread.

    A module that is imported already stays so, and other threads import what they like.
    """
    finder = _Hides(frozenset(names))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Hides(MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Raises `ModuleNotFoundError` for a hidden module; leaves every other to the finders that follow."""
        if fullname in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is hidden while this import runs", name=fullname)
        return None
