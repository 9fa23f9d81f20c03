"""The one door to numba: late interaction of one query with many documents, and the projection of words, compiled.

NumPy takes some thirty steps for it, each of which waits for the interpreter, and writes every product to memory. Here
a document's products stay in the cache, and the interpreter is left to others until all is done. A document's scores do
not depend on the documents beside it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

REACH = 2
"""How many words further on the second word of a pair may stand; at 0 one word of a description says both."""
_LATE = "float32[:,::1](float32[:,::1], int8[:,::1], int64[::1])"
_PROJECTED = "float32[:,::1](float32[:,::1], float32[:,::1])"
_LEAST = np.float32(-np.inf)
_ZERO = np.float32(0)
_njit = partial(njit, nogil=True, fastmath={"reassoc", "contract", "nsz"})
_inner = _njit(inline="always")


def _kept(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiled once for this processor and kept; where no folder can be written, at every start."""

    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return _njit(signature, cache=True)(function)
        except RuntimeError:  # numba finds no folder to keep it in
            return _njit(signature)(function)

    return kept


@_inner
def _multiply(query: Any, said: Any, word: Any, products: Any) -> None:
    """Products (q, ≥ t + REACH) of a query's words with one document's; `word` (word_dim,) is room for one of them."""
    for place in range(len(said)):
        for i in range(len(word)):
            word[i] = said[place, i]
        for asked in range(len(query)):
            product = _ZERO
            for i in range(len(word)):
                product += query[asked, i] * word[i]
            products[asked, place] = product


@_inner
def _best_of_words(products: Any, length: int) -> Any:
    """The sum over the query's words of their best product; what is below 0, or behind the last word, becomes 0."""
    summed = _ZERO
    for asked in range(len(products)):
        best = _LEAST
        for place in range(length):
            best = max(best, products[asked, place])
            products[asked, place] = max(products[asked, place], _ZERO)
        products[asked, length : length + REACH] = _ZERO
        summed += best
    return summed


@_inner
def _best_of_pairs(products: Any, length: int, pairs: int) -> Any:
    """The sum over the query's pairs of their best product; a query of one word is a pair with itself."""
    summed, following = _ZERO, min(1, len(products) - 1)
    for asked in range(pairs):
        best = _ZERO
        for place in range(length):
            second = products[asked + following, place]
            for step in range(1, REACH + 1):
                second = max(second, products[asked + following, place + step])
            best = max(best, products[asked, place] * second)
        summed += best
    return summed


@_kept(_PROJECTED)
def projected(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ matrix`, float32 (n, word_dim); a row's numbers do not depend on the rows beside it, as in a matrix
    product they may."""
    products = np.zeros((len(rows), matrix.shape[1]), np.float32)
    for place in range(len(rows)):
        for i in range(len(matrix)):
            for column in range(matrix.shape[1]):
                products[place, column] += rows[place, i] * matrix[i, column]
    return products


@_kept(_LATE)
def late_kernel(query: NDArray[np.float32], said: NDArray[np.int8], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """MaxSim by words and by pairs, float32 (2, n), in units of `said`.

    `query` (q, word_dim) of at least one word; `said` (t, word_dim) are the words of all documents in turn, `lengths`
    int64 (n,), each at least 1, how many each has.
    """
    words, pairs = len(query), max(1, len(query) - 1)
    scores = np.empty((2, len(lengths)), np.float32)
    products = np.empty((words, lengths.max() + REACH), np.float32)
    word = np.empty(said.shape[1], np.float32)
    begin = 0
    for document in range(len(lengths)):
        length = lengths[document]
        _multiply(query, said[begin : begin + length], word, products)
        scores[0, document] = _best_of_words(products, length) / words
        scores[1, document] = _best_of_pairs(products, length, pairs) / pairs
        begin += length
    return scores
