"""The phrases with most words in common, against the plain definition."""

from hypothesis import given
from hypothesis import strategies as st

from app.search.marks import marks, most_in_common

WORDS = st.frozensets(st.sampled_from("abcdefgh"), max_size=5)
PHRASES = st.lists(WORDS, max_size=9)


@given(st.lists(PHRASES, max_size=4), WORDS, st.integers(1, 6))
def test_the_most_in_common_come_first_then_as_they_stand(
    images: list[list[frozenset[str]]], wanted: frozenset[str], most: int
) -> None:
    found = most_in_common([marks(phrases) for phrases in images], wanted, most)
    for phrases, places in zip(images, found, strict=True):
        sharing = [place for place, words in enumerate(phrases) if words & wanted]
        assert places == sorted(sharing, key=lambda place: -len(phrases[place] & wanted))[:most]
