"""What is done about errors that nobody foresaw, in loops that have to go on."""

import time
from collections import deque
from collections.abc import Callable

from scenes.errors import trace_of


class FaultLimit:
    """Reports errors that nobody foresaw, without their words, and gives up where they come one after the other."""

    def __init__(self, say: Callable[[str], None], most: int = 5, forgotten_after_s: float = 60.0) -> None:
        self._say = say
        self._most = most
        self._forgotten_after_s = forgotten_after_s
        self._times: deque[float] = deque(maxlen=most)

    def met(self, where: str, error: Exception) -> None:
        """Report an error. Raises it where it is the last of `most`, each within a minute of the one before."""
        now = time.monotonic()
        if self._times and now - self._times[-1] > self._forgotten_after_s:
            self._times.clear()
        self._times.append(now)
        if len(self._times) >= self._most:
            raise error
        self._say(f"{where}: an unforeseen error; trying again\n{trace_of(error)}")
