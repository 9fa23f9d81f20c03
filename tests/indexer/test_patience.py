"""Who asks alone never waits; where many ask, a runner waits for its share of them, and for a moment at most."""

import pytest

from indexer.patience import LINGER, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("inside", "share"),
    [(1, 1), (2, 1), (32, 16)],
    ids=["who asks alone is a batch", "two at once wait for nobody", "of many a runner waits for its share"],
)
def test_a_batch_is_worth_starting_with_a_runners_share_of_those_under_way(inside: int, share: int) -> None:
    patience = Patience(2, Clock())
    for _ in range(200):
        patience.came(inside)
    assert patience.share == share


def test_after_a_quiet_moment_those_before_count_no_more() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    for _ in range(200):
        patience.came(32)
    clock.now = 0.2
    patience.came(1)
    assert patience.share == 1


def test_nobody_waits_longer_than_the_bound() -> None:
    clock = Clock()
    patience = Patience(1, clock)
    came = patience.came(1)
    assert patience.left_s(came) == LINGER.total_seconds()
    clock.now = LINGER.total_seconds() + 1
    assert patience.left_s(came) == 0.0
