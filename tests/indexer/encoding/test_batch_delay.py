"""Who asks alone never waits; where many ask, a runner waits for its share of them, and for a moment at most."""

import pytest

from indexer.encoding.batch_delay import LONGEST, WORTH, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("inside", "share"),
    [(1, 1), (2, 1), (8, 4), (100, WORTH)],
    ids=["who asks alone is a batch", "two wait for nobody", "of some a share", "more are not waited for"],
)
def test_a_batch_is_worth_starting_with_a_runners_share_of_those_under_way(inside: int, share: int) -> None:
    patience = Patience(2, Clock())
    patience.came(inside)
    assert patience.share == share


def test_those_who_come_back_one_after_the_other_count_together() -> None:
    patience = Patience(1, Clock())
    for inside in range(1, 13):
        patience.came(inside)
    for _ in range(3):
        patience.ended(0.01)
        for inside in range(1, 13):
            patience.came(inside)
            assert patience.share == 12


def test_after_a_quiet_moment_those_before_count_no_more() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    patience.came(32)
    patience.ended(0.01)
    clock.now = 0.2
    patience.came(1)
    assert patience.share == 1


def test_who_asks_alone_again_and_again_soon_waits_for_nobody() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    patience.came(8)
    for _ in range(2):
        patience.ended(0.01)
        clock.now += 0.05
        patience.came(1)
    assert patience.share == 1


def test_nobody_waits_longer_than_half_of_the_last_batch_nor_than_the_bound() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    assert patience.left_s(patience.came(1)) == 0.0
    clock.now = 1.0
    patience.ended(0.004)
    first = patience.came(1)
    for inside in (2, 3):
        clock.now += 0.0008
        patience.came(inside)
    assert patience.left_s(first) == pytest.approx(0.0004)
    clock.now = 1.003
    assert patience.left_s(patience.came(4)) == pytest.approx(0.001)
    assert patience.left_s(first) == 0.0
    clock.now = 2.0
    patience.ended(5.0)
    first = patience.came(5)
    for inside in (6, 7):
        clock.now += 0.004
        patience.came(inside)
    assert patience.left_s(first) == pytest.approx(LONGEST.total_seconds() - 0.008)
    clock.now += 0.003
    patience.came(8)
    assert patience.left_s(first) == 0.0


def test_where_nobody_comes_any_more_nobody_is_waited_for() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    patience.ended(0.008)
    first = patience.came(1)
    clock.now = 0.0019
    assert patience.left_s(first) == pytest.approx(0.0001)
    clock.now = 0.0021
    assert patience.left_s(first) == 0.0
