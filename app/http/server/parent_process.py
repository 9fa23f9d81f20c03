"""A server process of `wordsight serve --workers N`, and the process that started it.

It ends when that one has ended, even by SIGKILL: else it would hold the port, and nobody could start the server again.
"""

import multiprocessing
import os
import signal
import threading
from types import FrameType
from typing import Any

_STOP = (signal.SIGINT, signal.SIGTERM)
_once_started: dict[int, Any] = {}


def follow_parent() -> None:
    """From now on this process ends as by SIGTERM when its parent has ended; SIGHUP is left to the parent.

    Until `has_started` it has nothing to put in order, and a signal ends it at once. Does nothing in a process that has
    no such parent.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    _once_started.update({number: signal.signal(number, _end_at_once) for number in _STOP})
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="following", daemon=True).start()


def has_started() -> None:
    """From now on a signal ends this process in order, as uvicorn does it."""
    while _once_started:
        number, handler = _once_started.popitem()
        signal.signal(number, handler)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
