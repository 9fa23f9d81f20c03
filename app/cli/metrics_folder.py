"""The folder in which several server processes keep their counts together, so that each can answer for all."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scenes.host.signals import deferred

_PREFIX = "wordsight-metrics-"
_LOCK = "lock"
"""Held by the server that the folder belongs to; the system lets go of it however that server ends."""


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """A folder of our own until the block ends; what killed servers left of this kind is removed first."""
    _remove_abandoned()
    with ExitStack() as end:
        with deferred():
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            end.callback(_remove, folder, lock)
        yield folder


def _remove(folder: Path, lock: int) -> None:
    with deferred():
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it belongs to somebody else, or is gone meanwhile
            if folder.stat().st_uid == os.geteuid() and not _is_held(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _is_held(lock: Path) -> bool:
    """Raises `OSError` where there is no lock: a server that starts is about to take it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
