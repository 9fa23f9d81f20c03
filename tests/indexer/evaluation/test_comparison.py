"""What is told of two encoders' answers."""

import pytest

from indexer.evaluation.comparison import Compared, Question, compare
from scenes.errors import BadInput


def answer(names: str) -> list[tuple[str, str | None]]:
    return [(name, f"own-{name}") for name in names]


def test_two_answers_are_told_apart() -> None:
    questions = [Question("same", "stored"), Question("moved", "golden", "own-a"), Question("lost", "golden", "x")]
    before = [answer("abc"), answer("abc"), answer("abx")]
    after = [answer("abc"), answer("bac"), answer("def")]
    assert compare(questions, before, after, 3) == Compared(
        questions=3,
        golden=2,
        overlap=0.6667,
        same_first=0.3333,
        rank_change=0.3333,
        found_before=1.0,
        found_after=0.5,
        most_changed=("lost",),
    )
    assert compare(questions[1:], before[1:], after[1:], 1).found_after == 0.0


def test_nothing_to_ask_is_told() -> None:
    with pytest.raises(BadInput, match="nothing to compare"):
        compare([], [], [], 10)
    empty = compare([Question("q", "stored")], [[]], [[]], 10)
    assert (empty.overlap, empty.rank_change, empty.found_before) == (0.0, None, None)
