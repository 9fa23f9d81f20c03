"""Late interaction: every word of the query looks for its best match among the words of a description.

One pooled vector blurs which colour belongs to which object; vectors of words in their context do not. A score is
the mean over the query's words of the largest inner product with any word of the description (MaxSim of ColBERT,
Khattab and Zaharia 2020, arXiv 2004.12832; the mean in place of the sum, so that long queries score alike). The
same is done with pairs of neighbouring words, which bind 'red' to 'bus' where single words do not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Words

Packed = NDArray[np.int8]
"""int8 (t, word_dim): one text's word vectors, in steps of 1/127."""

_LEVELS = 127


def pack(words: Words) -> Packed:
    """Word vectors as signed bytes: a quarter of float32."""
    return np.rint(np.clip(words, -1.0, 1.0) * _LEVELS).astype(np.int8)


def late_scores(query: Words, documents: Sequence[Packed]) -> NDArray[np.float32]:
    """MaxSim by words and by neighbouring words of one query against documents, float32 (2, n), about −1…1.

    0 where the query or the document has no words.
    """
    scores = np.zeros((2, len(documents)), np.float32)
    filled = [place for place, words in enumerate(documents) if len(words)]
    if not filled or not len(query):
        return scores
    unpacked: list[Words] = [documents[place].astype(np.float32) / np.float32(_LEVELS) for place in filled]
    scores[0, filled] = _best_matches(query, unpacked)
    scores[1, filled] = _best_matches(neighbours(query), [neighbours(words) for words in unpacked])
    return scores


def neighbours(words: Words) -> Words:
    """Each word and the next as one unit vector, float32 (max(1, t − 1), word_dim); a lone word stands for itself."""
    if len(words) < 2:  # noqa: PLR2004 - a pair
        return words
    sums = words[:-1] + words[1:]
    pairs: Words = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return pairs


def _best_matches(query: Words, documents: Sequence[Words]) -> NDArray[np.float32]:
    starts = np.cumsum([0, *(len(words) for words in documents[:-1])])
    best = np.maximum.reduceat(query @ np.concatenate(documents).T, starts, axis=1)
    means: NDArray[np.float32] = best.mean(axis=0)
    return means
