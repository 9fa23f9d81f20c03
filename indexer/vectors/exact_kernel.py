"""The one score of `indexer.vectors.scoring`, compiled, for candidates of several queries: the same to the last bit.

NumPy copies the candidates, widens the copy, multiplies it into another and then adds up. Here a vector is read once,
where it lies, while the next one is fetched. Products of float32 are exact in float64, so only the order of the sums
counts: NumPy's, in halves down to 128 numbers (pairwise summation, Higham 1993, "The accuracy of floating point
summation").
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from indexer.encoding.encoder import Vectors
from indexer.vectors.compiled import inner, kept
from indexer.vectors.fetching import fetch_row, place_of

_HALVED = 128
_SUMS = 8
"""How many numbers are added up without halving them, and in how many sums, side by side, that is done."""
_AHEAD = 4
"""How many vectors before its turn one is fetched."""
_READ = "Array(float32, 2, 'C', readonly=True)"


def _inner_product_of(_typing: Any, rows: Any, row: Any, others: Any, other: Any, begin: Any, end: Any) -> Any:
    """The inner product of columns `begin` to `end`, a multiple of eight, of a row of float32 with one of float64, in
    eight sums, as NumPy does."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        wide = ir.VectorType(ir.DoubleType(), _SUMS)

        def read(of: int, kind: ir.Type, column: ir.Value) -> ir.Value:
            place = place_of(context, code, signature.args[of], given[of], [given[of + 1], column])
            return code.load(code.bitcast(place, ir.VectorType(kind, _SUMS).as_pointer()), align=1)

        sums = cgutils.alloca_once_value(code, ir.Constant(wide, None))  # type: ignore[no-untyped-call]
        steps = code.udiv(code.sub(given[5], given[4]), ir.IntType(64)(_SUMS))
        with cgutils.for_range(code, steps) as step:
            column = code.add(given[4], code.mul(step.index, ir.IntType(64)(_SUMS)))
            one, another = code.fpext(read(0, ir.FloatType(), column), wide), read(2, ir.DoubleType(), column)
            code.store(code.fadd(code.load(sums), code.fmul(one, another)), sums)
        lanes = [code.extract_element(code.load(sums), ir.IntType(32)(lane)) for lane in range(_SUMS)]
        while len(lanes) > 1:
            lanes = [code.fadd(*two) for two in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    return types.float64(rows, row, others, other, begin, end), generate


_inner_product: Any = intrinsic(_inner_product_of)


@inner
def _piece(vectors: Any, place: Any, queries: Any, query: Any, begin: Any, end: Any) -> Any:
    """The inner product of so few columns that they are not halved."""
    whole = end - (end - begin) % _SUMS
    summed = _inner_product(vectors, place, queries, query, begin, whole) if whole > begin else 0.0
    for column in range(whole, end):
        summed += np.float64(vectors[place, column]) * queries[query, column]
    return summed


@kept(f"float32[::1]({_READ}, int64[::1], float64[:,::1], int64[::1], int64[:,::1])")
def _scores(vectors: Any, places: Any, queries: Any, ends: Any, pieces: Any) -> Any:
    scores, sums = np.empty(len(places), np.float32), np.empty(len(pieces), np.float64)
    query = 0
    for nth in range(len(places)):
        while ends[query] <= nth:
            query += 1
        fetch_row(vectors, places[min(nth + _AHEAD, len(places) - 1)])
        begin, held = 0, 0
        for end, whole in pieces:
            sums[held] = _piece(vectors, places[nth], queries, query, begin, end)
            for _ in range(whole):
                held -= 1
                sums[held] += sums[held + 1]
            begin, held = end, held + 1
        scores[nth] = sums[0]
    return scores


@cache
def _pieces(dim: int) -> NDArray[np.int64]:
    """Where each piece of a sum ends, and how many halves are whole with it; int64 (n, 2)."""
    return np.array(list(_halved(0, dim)), np.int64)


def _halved(begin: int, end: int) -> Iterator[tuple[int, int]]:
    count = end - begin
    if count <= _HALVED:
        yield end, 0
        return
    half = begin + count // 2 - count // 2 % _SUMS
    *second, (last, whole) = _halved(half, end)
    yield from (*_halved(begin, half), *second, (last, whole + 1))


def exact_scores_of(
    vectors: Vectors, places: Sequence[NDArray[np.intp]], queries: Vectors
) -> list[NDArray[np.float32]]:
    """For each query `exact_scores(vectors[its places], query)`, of `queries` float32 (n, dim)."""
    ends = np.cumsum([len(mine) for mine in places])
    scores = _scores(vectors, np.concatenate(places), queries.astype(np.float64), ends, _pieces(queries.shape[1]))
    return np.split(scores, ends[:-1])
