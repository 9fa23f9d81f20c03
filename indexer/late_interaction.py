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

REACH = 2
"""How many words further on the second word of a pair may stand; at 0 one word of a description says both."""
_LEVELS = 127


def pack(words: Words) -> Packed:
    """Word vectors as signed bytes: a quarter of float32."""
    return np.rint(np.clip(words, -1.0, 1.0) * _LEVELS).astype(np.int8)


def late_scores(query: Words, documents: Sequence[Packed]) -> NDArray[np.float32]:
    """MaxSim by words and by pairs of one query against documents, float32 (2, n), about −1…1 and 0…1.

    0 where the query or the document has no words. A query of one word is a pair with itself.
    """
    scores = np.zeros((2, len(documents)), np.float32)
    filled = [place for place, words in enumerate(documents) if len(words)]
    if not filled or not len(query):
        return scores
    said = np.concatenate([documents[place] for place in filled], dtype=np.float32)
    lengths = np.array([len(documents[place]) for place in filled])
    starts = np.cumsum(lengths) - lengths
    products = np.ascontiguousarray((said @ np.divide(query, _LEVELS, dtype=np.float32).T).T)  # quicker this way round
    scores[0, filled] = _best_matches(products, starts)
    scores[1, filled] = _best_matches(_pair_products(products, lengths), starts)
    return scores


def _pair_products(products: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """The best product of each pair of the query for each first word of a pair, float32 (max(1, q − 1), t).

    `products` float32 (q, t) are those of the query's words with the words of all documents, `lengths` words each.
    """
    likeness = np.maximum(products, 0)
    first, second = (likeness[:-1], likeness[1:]) if len(likeness) > 1 else (likeness, likeness)
    best: NDArray[np.float32] = first * second
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(best.shape[1])
    for step in range(1, REACH + 1):
        further = first[:, :-step] * second[:, step:]
        further *= left[:-step] > step
        np.maximum(best[:, :-step], further, out=best[:, :-step])
    return best


def _best_matches(products: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    means: NDArray[np.float32] = np.maximum.reduceat(products, starts, axis=1).mean(axis=0)
    return means
