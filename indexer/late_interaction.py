"""Late interaction: every word of the query looks for its best match among the words of a description.

One pooled vector blurs which colour belongs to which object; vectors of words in their context do not. The score is
the mean over the query's words of the largest inner product with any word of the description (MaxSim of ColBERT,
Khattab and Zaharia 2020, arXiv 2004.12832, with the mean in place of the sum so that long queries score alike).
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
    """MaxSim of one query against packed documents, float32 (n,), about −1…1; 0 where either has no words."""
    scores = np.zeros(len(documents), np.float32)
    filled = [place for place, words in enumerate(documents) if len(words)]
    if not filled or not len(query):
        return scores
    words = np.concatenate([documents[place] for place in filled]).astype(np.float32)
    starts = np.cumsum([0, *(len(documents[place]) for place in filled[:-1])])
    best = np.maximum.reduceat((query / _LEVELS) @ words.T, starts, axis=1)
    scores[filled] = best.mean(axis=0)
    return scores
