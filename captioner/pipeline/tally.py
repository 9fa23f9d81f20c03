"""How a run goes and how it ended."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from scenes.outcome import Described, Failed, Refused

_WINDOW_S = 300.0
_SAMPLE_S = 1.0
_COUNTS = ("described", "refused", "failed", "already", "tokens_in", "tokens_out", "seconds")


@dataclass
class Tally:
    """How a run ended: the four counts add up to `inputs`. `ended_by` is None, 'signal', 'limit' or 'budget'."""

    described: int = 0
    refused: int = 0
    failed: int = 0
    already: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    ended_by: str | None = None
    reasons: Counter[str] = field(default_factory=Counter)
    attempts: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def inputs(self) -> int:
        return self.described + self.refused + self.failed + self.already

    @property
    def stopped(self) -> bool:
        """Was it ended by a signal?"""
        return self.ended_by == "signal"

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            **{name: getattr(self, name) + getattr(other, name) for name in _COUNTS},
            ended_by=self.ended_by or other.ended_by,
            reasons=self.reasons + other.reasons,
            attempts=self.attempts + other.attempts,
        )

    def add(self, outcome: Described | Refused | Failed) -> None:
        setattr(self, outcome.kind, getattr(self, outcome.kind) + 1)
        self.tokens_in += outcome.usage.tokens_in
        self.tokens_out += outcome.usage.tokens_out
        if not isinstance(outcome, Described):
            self.reasons[outcome.reason.value] += 1
        if outcome.usage.attempts:
            self.attempts[outcome.usage.attempts, outcome.kind] += 1


class Pace:
    """Images a second, over the last five minutes and in total; times in seconds."""

    def __init__(self, now: float | None = None) -> None:
        self._started = time.monotonic() if now is None else now
        self._marks: deque[tuple[float, int]] = deque([(self._started, 0)])

    def mark(self, done: int, now: float | None = None) -> None:
        """Remember how many are done by now."""
        now = time.monotonic() if now is None else now
        if now - self._marks[-1][0] >= _SAMPLE_S:
            self._marks.append((now, done))
        while len(self._marks) > 1 and now - self._marks[1][0] > _WINDOW_S:
            self._marks.popleft()

    @property
    def recent(self) -> float:
        """Images a second over at most the last five minutes."""
        (t0, n0), (t1, n1) = self._marks[0], self._marks[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    @property
    def overall(self) -> float:
        """Images a second since the start."""
        t1, n1 = self._marks[-1]
        return n1 / (t1 - self._started) if t1 > self._started else 0.0

    def seconds_left(self, left: int) -> float | None:
        """How long `left` more images take at the recent pace; None while that is not known."""
        return left / self.recent if self.recent > 0 else None
