"""Stopping: SIGTERM, SIGHUP and Ctrl-C finish what is in hand; nothing new is begun."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scenes.host.signals import heeded


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
        """Listen to the stop signals inside the block; a second signal is what it was before the block."""
        before = {int(number): signal.getsignal(number) for number in heeded()}

        def heard(_number: int, _frame: FrameType | None) -> None:
            self.set()
            for one, handler in before.items():
                signal.signal(one, handler)

        for number in before:
            signal.signal(number, heard)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
