"""Late interaction: every word of the query looks for its best match among the words of a description.

One pooled vector blurs which colour belongs to which object; vectors of words in their context do not. A score is
the mean over the query's words of the largest inner product with any word of the description (MaxSim of ColBERT,
Khattab and Zaharia 2020, arXiv 2004.12832; the mean in place of the sum, so that long queries score alike).

Pairs bind 'red' to 'bus' where single words do not: two neighbours of the query look for two words of the
description that stand in the same order and close to each other, both of which must fit, so their inner products are
multiplied (the soft n-grams of Conv-KNRM, Dai et al. 2018, without weights to learn).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Words

Packed = NDArray[np.int8]
"""int8 (t, word_dim): one text's word vectors, in steps of 1/127."""

_LEVELS = 127
_FINE = 32_767
"""A query's words are taken in steps of 1/32,767, 258 times finer than those of a description."""
_UNITS = np.array([[1 / (_LEVELS * _FINE)], [1 / (_LEVELS * _FINE) ** 2]])


def pack(words: Words) -> Packed:
    """Word vectors as signed bytes: a quarter of float32."""
    return np.rint(np.clip(words, -1.0, 1.0) * _LEVELS).astype(np.int8)


def late_scores(query: Words, documents: Sequence[Packed]) -> NDArray[np.float32]:
    """MaxSim by words and by pairs of one query against documents, float32 (2, n), about −1…1 and 0…1.

    0 where the query or the document has no words. A query of one word is a pair with itself. Raises `ValueError` where
    word vectors differ in length.
    """
    from indexer.late_kernel import late_kernel

    scores = np.zeros((2, len(documents)), np.float32)
    filled = [place for place, words in enumerate(documents) if len(words)]
    if filled and len(query):
        lengths = np.array([len(documents[place]) for place in filled], np.int64)
        said = np.concatenate([documents[place] for place in filled])
        if said.shape[1] != query.shape[1]:
            raise ValueError(f"word vectors of {said.shape[1]} numbers beside a query's of {query.shape[1]}")
        asked = np.ascontiguousarray(np.rint(query * np.float32(_FINE)), np.int16)
        scores[:, filled] = late_kernel(asked, said, lengths) * _UNITS
    return scores
