"""Late interaction of queries with their documents, and the projection of words, compiled.

NumPy takes some thirty steps for it, each of which waits for the interpreter, and writes every product to memory. Here
a document's products stay in the cache, and the interpreter is left to others until all is done. Products and sums are
whole numbers, so a document's scores are the same to the last bit beside any others and on every processor.

Products are computed in tiles, a few words of the query with a few of the document: what is read serves several of
them, and the lanes of a processor's registers are added up once for a tile, not once for each product. Documents lie
far apart, and embedding the query has pushed them out of the caches, so the next one is fetched tile by tile beside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from indexer.vectors.compiled import called, inner, kept
from indexer.vectors.fetching import fetch_row, place_of

REACH = 2
"""How many words further on the second word of a pair may stand; at 0 one word of a description says both."""
_LATE = "float64[:,::1](int16[:,::1], int64[:], int8[:,::1], int64[:], int64[:], int64[:])"
_PROJECTED = "float32[:,::1](float32[:,::1], float32[:,::1])"
_USUAL = 128
"""The `word_dim` of encoders that this project calibrates, which is multiplied in tiles."""
_ASKED, _SAID = 2, 4
"""A tile is so many words of a query by so many of a document."""
_ROOM = max(REACH, _SAID - 1)
"""How many products there is room for behind those of a document's last word."""
_LANES = 32
"""So many numbers of two words are multiplied at a time, and the products of two neighbours added."""
_ZERO = np.int32(0)


def _vector(bits: int, lanes: int) -> ir.VectorType:
    return ir.VectorType(ir.IntType(bits), lanes)


def _read(code: ir.IRBuilder, row: ir.Value, first: int, bits: int) -> ir.Value:
    """As many numbers of a row, `bits` each, as there are lanes; 16 bits each from here on."""
    place = code.gep(row, [ir.IntType(64)(first)])
    numbers = code.load(code.bitcast(place, _vector(bits, _LANES).as_pointer()), align=1)
    return code.sext(numbers, _vector(16, _LANES))


def _folded(code: ir.IRBuilder, vectors: Sequence[ir.Value], block: int, part: int) -> ir.Value:
    """One or two vectors in turn, a block of lanes at a time; of each part of those, one half added to the other."""
    every = vectors[0].type.count
    lanes = np.arange(every * len(vectors)).reshape(len(vectors), -1, block).swapaxes(0, 1)
    halves = lanes.reshape(-1, 2, part // 2).swapaxes(0, 1).reshape(2, -1).tolist()
    masks = [ir.Constant(_vector(32, len(half)), half) for half in halves]
    return code.add(*(code.shuffle_vector(vectors[0], vectors[-1], mask) for mask in masks))


def _multiplied(code: ir.IRBuilder, asked: ir.Value, said: ir.Value) -> ir.Value:
    """Sums of two neighbouring products, 32 bits each: processors have an instruction for just this."""
    return _folded(code, [code.mul(*(code.sext(one, _vector(32, _LANES)) for one in (asked, said)))], _LANES, 2)


def _added_up(code: ir.IRBuilder, vectors: Sequence[ir.Value]) -> ir.Value:
    """Eight vectors of sixteen lanes as one of their eight sums."""
    for block, part in ((4, 4), (4, 2), (16, 16)):
        vectors = [_folded(code, two, block, part) for two in zip(vectors[::2], vectors[1::2], strict=True)]
    return _folded(code, vectors, 16, 8)


def _sums(code: ir.IRBuilder, asked: Sequence[ir.Value], said: Sequence[ir.Value]) -> ir.Value:
    """The products of a tile in one vector, those of the first word asked for first."""
    sums = [ir.Constant(_vector(32, _LANES // 2), None)] * (_ASKED * _SAID)
    for at in range(0, _USUAL, _LANES):
        words, others = ([_read(code, row, at, bits) for row in rows] for rows, bits in ((asked, 16), (said, 8)))
        products = (_multiplied(code, word, other) for word in words for other in others)
        sums = [code.add(one, more) for one, more in zip(sums, products, strict=True)]
    return _added_up(code, sums)


def _tile_of(_typing: Any, query: Any, asked: Any, said: Any, places: Any, products: Any, column: Any) -> Any:
    """Products of the query's words at two places with the document's at four, written from a column on."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        def rows(of: int, places: ir.Value, number: ir.Value) -> list[ir.Value]:
            at = ([row, number] for row in cgutils.unpack_tuple(code, places))  # type: ignore[no-untyped-call]
            return [place_of(context, code, signature.args[of], given[of], one) for one in at]

        start = ir.IntType(64)(0)
        sums = _sums(code, rows(0, given[1], start), rows(2, given[3], start))
        for i, row in enumerate(rows(4, given[1], given[5])):
            mine = ir.Constant(_vector(32, _SAID), list(range(i * _SAID, (i + 1) * _SAID)))
            place = code.bitcast(row, _vector(32, _SAID).as_pointer())
            code.store(code.shuffle_vector(sums, sums, mine), place, align=4)
        return context.get_dummy_value()

    return types.void(query, asked, said, places, products, column), generate


_tile: Any = intrinsic(_tile_of)


@inner
def _multiply_in_tiles(query: Any, said: Any, following: Any, products: Any) -> None:
    """As `_multiply`, for words of the usual length. What a tile has too much repeats the last word.

    With each tile some of the words of the document that is `following` are fetched.
    """
    last, last_asked = len(said) - 1, len(query) - 1
    tiles = len(range(0, len(said), _SAID))
    for place in range(0, len(said), _SAID):
        nth = place // _SAID
        for word in range(len(following) * nth // tiles, len(following) * (nth + 1) // tiles):
            fetch_row(following, word)
        places = place, min(place + 1, last), min(place + 2, last), min(place + 3, last)
        for asked in range(0, len(query), _ASKED):
            _tile(query, (asked, min(asked + 1, last_asked)), said, places, products, place)


@inner
def _multiply(query: Any, said: Any, products: Any) -> None:
    """Products (q, ≥ t + REACH) of a query's words with one document's."""
    for place in range(len(said)):
        for asked in range(len(query)):
            product = _ZERO
            for i in range(query.shape[1]):  # 16 bits at most, summed in 32
                product = np.int32(product + np.int32(query[asked, i]) * np.int32(said[place, i]))
            products[asked, place] = product


@inner
def _best_of_words(products: Any, length: int) -> Any:
    """The sum over the query's words of their best product; what is below 0, or behind the last word, becomes 0."""
    summed = np.int64(0)
    for asked in range(len(products)):
        best = products[asked, 0]
        for place in range(length):
            best = max(best, products[asked, place])
            products[asked, place] = max(products[asked, place], _ZERO)
        products[asked, length : length + REACH] = _ZERO
        summed += best
    return summed


@inner
def _best_of_pairs(products: Any, length: int, pairs: int) -> Any:
    """The sum over the query's pairs of their best product; a query of one word is a pair with itself."""
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


@called
def _rank(query: Any, said: Any, begins: Any, lengths: Any, scores: Any) -> None:
    """One query's `scores` (2, n) by words and by pairs, written in place."""
    words, pairs = len(query), max(1, len(query) - 1)
    products = np.empty((words, max(0, lengths.max()) + _ROOM), np.int32)
    for document in range(len(lengths)):
        begin, length = begins[document], lengths[document]
        if length < 1:
            continue
        if said.shape[1] == _USUAL:
            next_one = min(document + 1, len(lengths) - 1)
            following = said[begins[next_one] : begins[next_one] + max(0, lengths[next_one])]
            _multiply_in_tiles(query, said[begin : begin + length], following, products)
        else:
            _multiply(query, said[begin : begin + length], products)
        scores[0, document] = _best_of_words(products, length) / words
        scores[1, document] = _best_of_pairs(products, length, pairs) / pairs


@kept(_PROJECTED, fastmath={"reassoc", "contract", "nsz"})
def projected(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ matrix`, float32 (n, word_dim); a row's numbers do not depend on the rows beside it, as in a matrix
    product they may."""
    products = np.zeros((len(rows), matrix.shape[1]), np.float32)
    for place in range(len(rows)):
        for i in range(len(matrix)):
            for column in range(matrix.shape[1]):
                products[place, column] += rows[place, i] * matrix[i, column]
    return products


@kept(_LATE)
def late_kernel(
    asked: NDArray[np.int16],
    asked_ends: NDArray[np.int64],
    said: NDArray[np.int8],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.float64]:
    """MaxSim by words and by pairs, float64 (2, m): products in units of both, pairs in those units squared.

    `asked` (q, word_dim) are the words of n queries, those of query i before `asked_ends[i]`; its documents are those
    before `ends[i]`. Among the words `said` (t, word_dim) those of a document begin at its `begins` and are its
    `lengths`. 0 where a query or a document has none. No product of two words may leave 32 bits.
    """
    scores = np.zeros((2, len(lengths)), np.float64)
    first_word, first = 0, 0
    for place in range(len(ends)):
        if ends[place] > first and asked_ends[place] > first_word:
            query, mine = asked[first_word : asked_ends[place]], slice(first, ends[place])
            _rank(query, said, begins[mine], lengths[mine], scores[:, mine])
        first_word, first = asked_ends[place], ends[place]
    return scores
