"""What is cut and joined again is the same."""

import numpy as np

from indexer.cutting import joined, part
from indexer.snapshot import Found


def test_parts_joined_are_the_whole() -> None:
    found = Found(np.arange(7), np.arange(7, dtype=np.float32))
    again = joined([part(found, start, 3) for start in range(0, 7, 3)])
    assert np.array_equal(again.rows, found.rows)
    assert joined([found]) is found
