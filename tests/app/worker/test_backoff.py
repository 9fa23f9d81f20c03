"""What fails is tried again later each time, and errors one after the other end a loop."""

import pytest

from app.worker.backoff import Backoff
from app.worker.fault_limit import FaultLimit


def test_what_fails_waits_longer_each_time_up_to_a_limit_and_nothing_else_waits() -> None:
    now = 0.0
    backoff = Backoff(clock=lambda: now)
    waits = []
    for _ in range(8):
        waits.append(backoff.failed("a").total_seconds())
        assert not backoff.is_due("a")
        assert backoff.is_due("b")
        now += waits[-1]
        assert backoff.is_due("a")
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    backoff.succeeded("a")
    assert backoff.failed("a").total_seconds() == 5
    assert backoff.next_due().total_seconds() == 5  # type: ignore[union-attr]
    backoff.keep(set())
    assert backoff.next_due() is None


def test_errors_are_reported_without_their_words_until_there_are_too_many() -> None:
    said = list[str]()
    limit = FaultLimit(said.append, most=3)
    for _ in range(2):
        limit.met("the loop", ValueError("words of a user"))
    with pytest.raises(ValueError, match="words"):
        limit.met("the loop", ValueError("words of a user"))
    assert len(said) == 2
    assert all("the loop: an unforeseen error" in line and "ValueError" in line for line in said)
    assert not any("words" in line for line in said)


def test_errors_that_come_seldom_end_nothing() -> None:
    said = list[str]()
    limit = FaultLimit(said.append, most=2, forgotten_after_s=-1.0)
    for _ in range(9):
        limit.met("the loop", ValueError())
    assert len(said) == 9
