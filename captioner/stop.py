"""Stopping: SIGTERM and Ctrl-C finish what is in hand; nothing new is begun."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Is set by a signal; who works asks it between two pieces of work."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def set(self, *_: object) -> None:
        self._event.set()

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """Listen to SIGINT and SIGTERM inside the block; a second signal ends the process at once."""
        before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def heard(number: int, _frame: FrameType | None) -> None:
            self.set()
            signal.signal(number, before[number])

        for number in before:
            signal.signal(number, heard)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
