"""Background work takes its share of the time while searches come, and all of it while none do."""

import pytest

from indexer.encoding.pacing import Pace


class Clock:
    """Time that passes only by work and sleep; a search comes every `every_s` seconds of it."""

    def __init__(self, every_s: float | None) -> None:
        self.now = self.worked = 0.0
        self._every_s = every_s

    def searches(self) -> int:
        return 0 if self._every_s is None else int(self.now / self._every_s)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.worked += seconds


async def share_of(clock: Clock, share: float, took_s: float) -> float:
    """The share of the time that work of so many seconds a piece gets."""
    pace = Pace(share, clock.searches, clock.sleep)
    for _ in range(200):
        clock.work(took_s)
        await pace.rest(took_s)
    return clock.worked / clock.now


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("took_s", [0.01, 0.05, 0.4])
async def test_work_takes_no_more_than_its_share_while_searches_come(share: float, took_s: float) -> None:
    assert await share_of(Clock(every_s=0.001), share, took_s) == pytest.approx(share)


async def test_nothing_rests_while_nobody_searches() -> None:
    assert await share_of(Clock(every_s=None), 0.2, 0.05) == 1.0


async def test_a_search_now_and_then_costs_one_rest() -> None:
    assert 0.8 < await share_of(Clock(every_s=1.0), 0.2, 0.05) < 0.9


async def test_all_of_the_time_may_be_given() -> None:
    assert await share_of(Clock(every_s=0.001), 1.0, 0.05) == 1.0
