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
_SHORTEST = 1e-6
"""Vectors whose sum is a thousandth as long as they are cancel out: what is left is rounding."""


def pack(words: Words) -> Packed:
    """Word vectors as signed bytes: a quarter of float32."""
    return np.rint(np.clip(words, -1.0, 1.0) * _LEVELS).astype(np.int8)


def late_scores(query: Words, documents: Sequence[Packed]) -> NDArray[np.float32]:
    """MaxSim by words and by neighbouring words of one query against documents, float32 (2, n), about −1…1.

    0 where the query or the document has no words. The product of two pairs of neighbours is the sum of four
    products of single words over the pairs' lengths, so that one matrix product serves both.
    """
    scores = np.zeros((2, len(documents)), np.float32)
    filled = [place for place, words in enumerate(documents) if len(words)]
    if not filled or not len(query):
        return scores
    said = np.concatenate([documents[place] for place in filled]).astype(np.float32)
    starts = np.cumsum([0, *(len(documents[place]) for place in filled[:-1])])
    products: NDArray[np.float32] = np.divide(query, _LEVELS, dtype=np.float32) @ said.T
    scores[0, filled] = _best_matches(products, starts)
    scores[1, filled] = _best_matches(_pair_products(query, products, said, starts), starts)
    return scores


def neighbours(words: Words) -> Words:
    """Each word and the next as one unit vector, float32 (max(1, t − 1), word_dim); a lone word stands for itself."""
    if len(words) < 2:  # noqa: PLR2004 - a pair
        return words
    sums = words[:-1] + words[1:]
    pairs: Words = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return pairs


def _pair_products(
    query: Words, products: NDArray[np.float32], said: Words, starts: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Products of the query's pairs with each word of the documents and its next; minus infinity where none is next.

    `products` float32 (q, t) are those of the query's words with `said`, all documents' words in steps of 1/127.
    """
    if len(query) > 1:
        products = (products[:-1] + products[1:]) / _lengths_of_sums(query)[:, None]
    last = np.append(starts[1:], len(said)) - 1
    pairs = np.empty_like(products)
    np.add(products[:, :-1], products[:, 1:], out=pairs[:, :-1])
    pairs[:, :-1] /= _lengths_of_sums(said) / np.float32(_LEVELS)
    pairs[:, last] = np.where(last == starts, products[:, last], -np.inf)
    return pairs


def _lengths_of_sums(words: Words) -> NDArray[np.float32]:
    """The length of each word's vector added to the next's, float32 (t − 1,), never 0."""
    squares = np.einsum("ij,ij->i", words, words)
    sums = squares[:-1] + squares[1:] + 2 * np.einsum("ij,ij->i", words[:-1], words[1:])
    lengths: NDArray[np.float32] = np.sqrt(np.maximum(sums, np.float32(_SHORTEST) * squares[:-1]))
    return np.maximum(lengths, np.finfo(np.float32).tiny)


def _best_matches(products: NDArray[np.float32], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    means: NDArray[np.float32] = np.maximum.reduceat(products, starts, axis=1).mean(axis=0)
    return means
