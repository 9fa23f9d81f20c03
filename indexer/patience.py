"""When a free runner takes what waits: at once where few ask, where many ask once its share of them is there.

After a batch many requests come at once, but one after the other. A runner that took the first alone would compute one
text at the price of several, and keep the rest waiting. So a runner waits until as many texts are there as it would
have if all runners shared those that are usually under way, and never longer than `LINGER`. Whoever asks alone waits
for nobody, once those before are forgotten: after some twenty requests, or at once after a quiet moment.
"""

import time
from collections.abc import Callable
from datetime import timedelta

LINGER = timedelta(milliseconds=2)
_QUIET_S = 0.1
"""After so long without a request, those before say nothing of those to come."""
_NEWEST = 0.1
"""How much the newest arrival counts in the average."""


class Patience:
    """Follows how many requests are under way; not safe from several threads."""

    def __init__(self, runners: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._runners = runners
        self._clock = clock
        self._usual = 1.0
        self._last = clock()

    def came(self, inside: int) -> float:
        """A request came and `inside` are under way with it; returns when it came."""
        now = self._clock()
        usual = 1.0 if inside == 1 and now - self._last > _QUIET_S else self._usual
        self._usual = usual + _NEWEST * (inside - usual)
        self._last = now
        return now

    @property
    def share(self) -> int:
        """How many texts are a batch worth starting at once."""
        return max(1, round(self._usual / self._runners))

    def left_s(self, came: float) -> float:
        """How much longer, in seconds, a request that came then may be kept waiting for others; never below 0."""
        return max(0.0, came + LINGER.total_seconds() - self._clock())
