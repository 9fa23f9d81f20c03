"""What is cut and joined again is the same."""

import numpy as np

from indexer.releases.index_reader import Found
from indexer.retrieval.cutting import joined, part


def test_parts_joined_are_the_whole() -> None:
    found = Found(np.arange(7), np.arange(7, dtype=np.float32))
    again = joined([part(found, start, 3) for start in range(0, 7, 3)])
    assert np.array_equal(again.rows, found.rows)
    assert joined([found]) is found
