"""What is asked: the length of a query is that of what was sent."""

import pytest
from pydantic import ValidationError

from scenes.answer import MAX_QUERY_CHARACTERS, Query


def test_blanks_around_a_query_are_dropped() -> None:
    assert Query(query="\f a cat ").query == "a cat"


@pytest.mark.parametrize("text", ["", " \n", " " + MAX_QUERY_CHARACTERS * "a", "a\x00"])
def test_what_is_too_long_or_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Query(query=text)
