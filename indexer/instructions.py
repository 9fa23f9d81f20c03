"""Instructions that numba does not write of itself: for vectors of numbers, and for what will be read soon.

They are written for LLVM's vectors, not for one processor. The door to llvmlite. What is compiled is kept until the
file that uses it is changed: after a change here, touch the kernels.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

USUAL = 128
"""The `word_dim` of encoders that this project calibrates, which is multiplied in tiles."""
ASKED, SAID = 2, 4
"""A tile is so many words of a query by so many of a document."""
LINE = 64
"""Bytes that a processor fetches at a time."""
_LANES = 32
"""So many numbers of two words are multiplied at a time, and the products of two neighbours added."""
_SUMS = 8
"""NumPy adds numbers up in so many sums, side by side."""
_TO_READ_SOON = 0, 3, 1
"""To read, into all caches, as data."""


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
    sums = [ir.Constant(_vector(32, _LANES // 2), None)] * (ASKED * SAID)
    for at in range(0, USUAL, _LANES):
        words, others = ([_read(code, row, at, bits) for row in rows] for rows, bits in ((asked, 16), (said, 8)))
        products = (_multiplied(code, word, other) for word in words for other in others)
        sums = [code.add(one, more) for one, more in zip(sums, products, strict=True)]
    return _added_up(code, sums)


def _tile_of(_typing: Any, query: Any, asked: Any, said: Any, places: Any, products: Any, column: Any) -> Any:
    """`tile(query, asked, said, places, products, column)`: products of the query's words at two places with the
    document's at four, written from a column on."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        def rows(of: int, places: ir.Value, number: ir.Value) -> list[ir.Value]:
            array = context.make_array(signature.args[of])(context, code, given[of])
            at = ([row, number] for row in cgutils.unpack_tuple(code, places))  # type: ignore[no-untyped-call]
            found = partial(cgutils.get_item_pointer, context, code, signature.args[of], array)
            return [found(one) for one in at]

        start = ir.IntType(64)(0)
        sums = _sums(code, rows(0, given[1], start), rows(2, given[3], start))
        for i, row in enumerate(rows(4, given[1], given[5])):
            mine = ir.Constant(_vector(32, SAID), list(range(i * SAID, (i + 1) * SAID)))
            place = code.bitcast(row, _vector(32, SAID).as_pointer())
            code.store(code.shuffle_vector(sums, sums, mine), place, align=4)
        return context.get_dummy_value()

    return types.void(query, asked, said, places, products, column), generate


tile: Any = intrinsic(_tile_of)


def _fetch_of(_typing: Any, rows: Any, row: Any, column: Any) -> Any:
    """`fetch(rows, row, column)`: bring what is there into the caches, and wait for nothing."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        place = _place(context, code, signature.args[0], given[0], given[1:])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        instruction = code.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        code.call(instruction, [place, *(whole(one) for one in _TO_READ_SOON)])
        return context.get_dummy_value()

    return types.void(rows, row, column), generate


fetch: Any = intrinsic(_fetch_of)


def _inner_product_of(_typing: Any, rows: Any, row: Any, others: Any, other: Any, begin: Any, end: Any) -> Any:
    """`inner_product(rows, row, others, other, begin, end)`: of columns `begin` to `end`, a multiple of eight, of a row
    of float32 with one of float64; summed in eight sums, as NumPy does."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        wide = ir.VectorType(ir.DoubleType(), _SUMS)

        def read(of: int, kind: ir.Type, column: ir.Value) -> ir.Value:
            place = _place(context, code, signature.args[of], given[of], [given[of + 1], column])
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


inner_product: Any = intrinsic(_inner_product_of)


def _place(context: Any, code: ir.IRBuilder, kind: Any, given: ir.Value, at: Sequence[ir.Value]) -> ir.Value:
    """Where an element of an array lies."""
    array = context.make_array(kind)(context, code, given)
    place: ir.Value = cgutils.get_item_pointer(context, code, kind, array, list(at))  # type: ignore[no-untyped-call]
    return place
