"""Which phrases have most words in common with a query, for all images of an answer at once, compiled.

What an image says lies in one piece: each word of a phrase is one number, its mark, made of 51 bits of the word's hash
and the place of the phrase. Two different words with one hash are a matter of one in 10¹⁵; hashes differ between
processes, so marks are never stored.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.vectors.compiled import compiled

_PLACE = 0x1FFF
MOST_PHRASES = _PLACE + 1
"""More than the longest description has; phrases behind so many would not be found."""
Marks = bytes
"""int64 (n,): one for each word of each phrase, in the order of the phrases."""


def marks(phrases: Sequence[Iterable[str]]) -> Marks:
    """What phrases say, each given as its words."""
    said = [(place, word) for place, words in enumerate(phrases[:MOST_PHRASES]) for word in words]
    return np.array([hash(word) & ~_PLACE | place for place, word in said], np.int64).tobytes()


def most_in_common(images: Sequence[Marks], words: Iterable[str], most: int) -> list[list[int]]:
    """For each image the places of the phrases that have most of these words, at most so many: those with more first,
    then as they stand."""
    wanted = np.array([hash(word) & ~_PLACE for word in words], np.int64)
    sizes = np.array([len(said) for said in images], np.int64)
    said = np.frombuffer(bytearray().join(images), np.int64)
    return [[place for place in places if place >= 0] for places in _most_in_common(said, sizes, wanted, most).tolist()]


@compiled("int64[:,::1](int64[::1], int64[::1], int64[::1], int64)")
def _most_in_common(
    said: NDArray[np.int64], sizes: NDArray[np.int64], wanted: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Places (n, most), −1 where there are no more; `sizes` (n,) are how many bytes of marks each image has."""
    found = np.full((len(sizes), most), -1, np.int64)
    counts = np.zeros(MOST_PHRASES, np.int32)
    end = 0
    for image in range(len(sizes)):
        begin, end = end, end + sizes[image] // 8
        phrases = 0
        for mark in said[begin:end]:
            for word in wanted:
                if mark & ~_PLACE == word:
                    counts[mark & _PLACE] += 1
                    phrases = (mark & _PLACE) + 1
        for nth in range(most if phrases else 0):
            best = np.argmax(counts[:phrases])
            if counts[best]:
                found[image, nth], counts[best] = best, 0
        counts[:phrases] = 0
    return found
