"""Who asks alone never waits; where many ask, a runner waits for its share of them, and for a moment at most."""

from indexer.patience import LINGER, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_asks_alone_is_a_batch_worth_starting() -> None:
    patience = Patience(2, Clock())
    for _ in range(50):
        patience.came(1)
    assert patience.share == 1


def test_where_many_are_under_way_a_runner_waits_for_its_share_of_them() -> None:
    patience = Patience(2, Clock())
    for _ in range(200):
        patience.came(32)
    assert patience.share == 16


def test_two_at_once_on_two_runners_wait_for_nobody() -> None:
    patience = Patience(2, Clock())
    for _ in range(200):
        patience.came(2)
    assert patience.share == 1


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
