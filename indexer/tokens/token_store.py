"""Token vectors of many descriptions in one array, where ranking finds them without a copy."""

from collections.abc import Mapping, Sequence

import numpy as np

from indexer.tokens.late_interaction import Packed, Said

Part = tuple[int, int]
"""A collection at one generation."""
_NOT_THERE, _WORDLESS = -1, -2
"""The places of the spans of whoever is not there, and of whoever says nothing: the last ones."""


class TokenStore:
    """Room for so many `words` of `word_dim` numbers; written once and never changed, so that readers wait for nobody.

    Put from one thread, read from any: a description is found only once all of it is there.
    """

    def __init__(self, words: int, word_dim: int) -> None:
        self._words: Packed = np.empty((words, word_dim), np.int8)  # takes memory as it is written
        self._spans = np.empty((words + 2, 2), np.int64)
        self._spans[_NOT_THERE], self._spans[_WORDLESS] = (0, -1), (0, 0)
        self._filled = self._known = 0
        self._places: dict[Part, dict[int, int]] = {}

    @property
    def nbytes(self) -> int:
        """How much is written."""
        return int(self._filled * self._words.shape[1])

    def put(self, part: Part, read: Mapping[int, Packed]) -> None:
        """What these rows say. Raises `ValueError` where there is no room for it."""
        places = self._places.setdefault(part, {})
        for row, said in read.items():
            if row not in places:
                places[row] = self._written(said) if len(said) else _WORDLESS

    def _written(self, said: Packed) -> int:
        """Where the span of these words is."""
        end, place = self._filled + len(said), self._known
        self._words[self._filled : end] = said
        self._spans[place] = self._filled, len(said)
        self._filled, self._known = end, place + 1
        return place

    def said(self, part: Part, rows: Sequence[int]) -> Said:
        """What these rows say, as far as it is there."""
        places = self._places.get(part, {})
        spans = self._spans[[places.get(row, _NOT_THERE) for row in rows]]
        return Said(self._words, spans[:, 0], spans[:, 1])
