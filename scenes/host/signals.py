"""The signals that stop a program, and the blocks that they must not break."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what service managers send, and the end of the terminal."""


def heeded() -> list[signal.Signals]:
    """The stop signals that end this process: all but the end of the terminal where `nohup` has it ignored.

    SIGINT is heeded also where a script's shell has it ignored, which it does for whatever it starts in the background.
    """
    nohup = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    return [one for one in STOP_SIGNALS if one not in nohup]


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
