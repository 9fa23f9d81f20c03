"""The signals that stop a program, and the blocks that they must not break."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
STOP_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Ctrl-C, what service managers send, and the end of the terminal."""


def heeded() -> list[signal.Signals]:
    """The stop signals that this process does not ignore: `nohup` and background jobs of scripts ignore some."""
    return [one for one in STOP_SIGNALS if signal.getsignal(one) not in (signal.SIG_IGN, None)]


@contextmanager
def deferred() -> Iterator[None]:
    """A stop signal that arrives inside the block takes effect when the block ends; of several, the first.

    Signals interrupt the main thread only, so that in any other nothing is to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before = {one: signal.signal(one, keep) for one in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
