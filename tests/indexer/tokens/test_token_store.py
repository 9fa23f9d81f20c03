"""What is put on a shelf is found there as it was, whatever else is put beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.tokens.token_store import TokenStore

DIM = 3
PARTS = st.tuples(st.integers(1, 2), st.integers(1, 2))
ROWS = st.dictionaries(st.integers(0, 9), st.integers(0, 4), max_size=5)


def words(row: int, length: int) -> np.ndarray:
    return np.random.default_rng(row).integers(-127, 128, (length, DIM)).astype(np.int8)


@given(st.lists(st.tuples(PARTS, ROWS), max_size=8))
def test_what_was_put_first_is_found(puts: list[tuple[tuple[int, int], dict[int, int]]]) -> None:
    shelf, expected = TokenStore(200, DIM), {}
    for part, rows in puts:
        shelf.put(part, {row: words(row, length) for row, length in rows.items()})
        for row, length in rows.items():
            expected.setdefault((part, row), length)
    asked = range(11)
    for part in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]:
        for row, found in zip(asked, shelf.said(part, asked).each(), strict=True):
            length = expected.get((part, row))
            assert (found is None) == (length is None)
            if found is not None and length is not None:
                assert np.array_equal(found, words(row, length))
    assert shelf.nbytes == DIM * sum(expected.values())


def test_what_a_reader_holds_stays_as_it_is() -> None:
    shelf = TokenStore(4, DIM)
    shelf.put((1, 1), {7: words(7, 2)})
    held = shelf.said((1, 1), [7, 8])
    shelf.put((1, 1), {8: words(8, 2)})
    assert not held.is_whole
    assert held.each()[1] is None
    assert np.array_equal(held.each()[0], words(7, 2))


def test_who_says_nothing_takes_no_room() -> None:
    shelf = TokenStore(2, DIM)
    shelf.put((1, 1), {row: words(row, 0) for row in range(9)} | {9: words(9, 1), 10: words(10, 1)})
    assert shelf.said((1, 1), range(12)).lengths.tolist() == [0] * 9 + [1, 1, -1]


def test_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        TokenStore(3, DIM).put((1, 1), {7: words(7, 4)})
