"""When a free runner takes what waits: at once where few ask, where many ask once its share of them is there.

After a batch many requests come at once, but one after the other. A runner that took the first alone would compute one
text at the price of several, and keep the rest waiting; one that took half of them would pay for two batches where one
does. So a runner waits until as many texts are there as it would have if all runners shared those that were under way
at most since the batch before the last one, but no longer than others keep coming, and never longer than half of what
its last batch took. Whoever asks alone waits for nobody, once those before are forgotten: after two batches, or at once
after a quiet moment.
"""

import time
from collections.abc import Callable
from datetime import timedelta

LONGEST = timedelta(milliseconds=10)
"""Nobody is kept waiting for longer, whatever a batch takes."""
WORTH = 16
"""So many texts are always worth a batch: a text costs hardly less in a larger one."""
_SHARE_OF_LAST = 0.5
_STILL_COMING = 0.5
"""Others are waited for while the newest came within so much of the longest wait: where requests come evenly, not in
waves, nobody would come any sooner."""
_QUIET_S = 0.1
"""After so long without a request, those before say nothing of those to come."""


class Patience:
    """Follows how many requests are under way; not safe from several threads."""

    def __init__(self, runners: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._runners = runners
        self._clock = clock
        self._most = self._before = 0
        self._last = self._freed = clock()
        self._linger_s = 0.0

    def came(self, inside: int) -> float:
        """A request came and `inside` are under way with it; returns when it came."""
        now = self._clock()
        if inside == 1 and now - self._last > _QUIET_S:
            self._most = self._before = 0
        self._most = max(inside, self._most)
        self._last = now
        return now

    def ended(self, took_s: float) -> None:
        """A batch ended that took so long, and its runner is free."""
        self._most, self._before = 0, self._most
        self._freed = self._clock()
        self._linger_s = min(LONGEST.total_seconds(), _SHARE_OF_LAST * took_s)

    @property
    def share(self) -> int:
        """How many texts are a batch worth starting at once."""
        return min(WORTH, max(1, round(max(self._most, self._before) / self._runners)))

    def left_s(self, came: float) -> float:
        """How much longer, in seconds, a request that came then may be kept waiting for others; never below 0."""
        longest = max(came, self._freed) + self._linger_s
        for_others = max(self._last, self._freed) + _STILL_COMING * self._linger_s
        return max(0.0, min(longest, for_others) - self._clock())
