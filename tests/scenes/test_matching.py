"""When an answer says that nothing matches: the best score is low, and its image does not stand clear of the others."""

import pytest

from scenes.relevance import Relevance

RELEVANCE = Relevance(intercept=-2.0, score=2.5, gap=20.0, floor=0.44)


@pytest.mark.parametrize(
    ("scores", "there"),
    [
        ([0.5, 0.49], True),
        ([0.44, 0.44], True),
        ([0.43, 0.42], False),
        ([0.3], True),
        ([0.31, 0.16], True),
    ],
    ids=["high", "at the floor", "low among others", "low but alone", "low but clear of the others"],
)
def test_nothing_matches_where_nothing_speaks_for_the_best(scores: list[float], there: bool) -> None:
    assert RELEVANCE.matches(scores) is there


def test_without_a_floor_nothing_is_said() -> None:
    assert RELEVANCE.model_copy(update={"floor": None}).matches([-1.0, -1.0])
