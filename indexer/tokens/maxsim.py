"""MaxSim of queries with documents, by tokens and by pairs of tokens, in one compiled call.

NumPy needs some thirty steps for it, each of which holds the interpreter, and writes every product to memory. Here the
products of one document stay in the cache. Products and sums are whole numbers, so the scores of a document are the
same to the last bit next to any others and on every processor.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.vectors.compiled import compiled, helper, inlined

REACH = 2
"""How many tokens further on the second token of a pair may stand; at 0 one token of a document is both."""
_SIGNATURE = "float64[:,::1](int16[:,::1], int64[:], int8[:,::1], int64[:], int64[:], int64[:])"
_USUAL = 128
"""The `word_dim` of encoders that this project calibrates: with a constant length the compiler unrolls the loop."""
_AT_ONCE = 4
"""So many query tokens at a time are multiplied with a document token that was read once."""
_ZERO = np.int32(0)


@inlined
def _product(query: Any, asked: Any, document: Any, place: Any, dim: Any) -> Any:
    product = _ZERO
    for i in range(dim):  # 16 bits at most, summed in 32
        product = np.int32(product + np.int32(query[asked, i]) * np.int32(document[place, i]))
    return product


@helper
def _multiply_usual(query: Any, document: Any, products: Any) -> None:
    """As `_multiply`, for token vectors of the usual length."""
    whole = len(query) - len(query) % _AT_ONCE
    for place in range(len(document)):
        for asked in range(0, whole, _AT_ONCE):
            first = _product(query, asked, document, place, _USUAL)
            second = _product(query, asked + 1, document, place, _USUAL)
            third = _product(query, asked + 2, document, place, _USUAL)
            fourth = _product(query, asked + 3, document, place, _USUAL)
            products[asked, place], products[asked + 1, place] = first, second
            products[asked + 2, place], products[asked + 3, place] = third, fourth
        for asked in range(whole, len(query)):
            products[asked, place] = _product(query, asked, document, place, _USUAL)


@helper
def _multiply(query: Any, document: Any, products: Any) -> None:
    """Products (q, ≥ t) of the query's token vectors (q, dim) with the document's (t, dim), written in place."""
    for place in range(len(document)):
        for asked in range(len(query)):
            products[asked, place] = _product(query, asked, document, place, query.shape[1])


@helper
def _best_of_tokens(products: Any, length: int) -> Any:
    """The sum over the query's tokens of their best product; what is below 0, or behind the last token, becomes 0."""
    summed = np.int64(0)
    for asked in range(len(products)):
        best = products[asked, 0]
        for place in range(length):
            best = max(best, products[asked, place])
            products[asked, place] = max(products[asked, place], _ZERO)
        for place in range(length, length + REACH):
            products[asked, place] = _ZERO
        summed += best
    return summed


@helper
def _best_of_pairs(products: Any, length: int, pairs: int) -> Any:
    """The sum over the query's pairs of their best product; a query of one token is a pair with itself."""
    summed, following = np.int64(0), min(1, len(products) - 1)
    for asked in range(pairs):
        best = np.int64(0)
        for place in range(length):
            second = products[asked + following, place]
            for step in range(1, REACH + 1):
                second = max(second, products[asked + following, place + step])
            best = max(best, np.int64(products[asked, place]) * np.int64(second))
        summed += best
    return summed


@helper
def _score(query: Any, tokens: Any, begins: Any, lengths: Any, scores: Any) -> None:
    """The `scores` (2, m) of one query, written in place."""
    pairs = max(1, len(query) - 1)
    products = np.empty((len(query), max(0, lengths.max()) + REACH), np.int32)
    for nth in range(len(lengths)):
        length = lengths[nth]
        if length < 1:
            continue
        document = tokens[begins[nth] : begins[nth] + length]
        if tokens.shape[1] == _USUAL:
            _multiply_usual(query, document, products)
        else:
            _multiply(query, document, products)
        scores[0, nth] = _best_of_tokens(products, length) / len(query)
        scores[1, nth] = _best_of_pairs(products, length, pairs) / pairs


@compiled(_SIGNATURE)
def maxsim(
    query_tokens: NDArray[np.int16],
    query_ends: NDArray[np.int64],
    tokens: NDArray[np.int8],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    document_ends: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Scores by tokens and by pairs, float64 (2, m): products in units of both, pairs in those units squared.

    `query_tokens` (q, word_dim) are the token vectors of n queries, those of query i before `query_ends[i]`; its
    documents are those before `document_ends[i]`. The token vectors of a document are the `lengths` rows of `tokens`
    (t, word_dim) from `begins` on. 0 where a query or a document has none. No product of two tokens may leave 32 bits.
    """
    scores = np.zeros((2, len(lengths)), np.float64)
    token, document = 0, 0
    for place in range(len(document_ends)):
        if document_ends[place] > document and query_ends[place] > token:
            query, mine = query_tokens[token : query_ends[place]], slice(document, document_ends[place])
            _score(query, tokens, begins[mine], lengths[mine], scores[:, mine])
        token, document = query_ends[place], document_ends[place]
    return scores
