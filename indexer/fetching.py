"""What a compiled function will read soon, fetched meanwhile: no number depends on it.

Whoever calls `fetch` is kept compiled until its own file changes, so nothing that changes a number may be put here.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes that a processor fetches at a time."""
_TO_READ_SOON = 0, 3, 1
"""To read, into all caches, as data."""


def _fetch_of(_typing: Any, rows: Any, row: Any, column: Any) -> Any:
    """`fetch(rows, row, column)`: bring what is there into the caches, and wait for nothing."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        place = place_of(context, code, signature.args[0], given[0], given[1:])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        instruction = code.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        code.call(instruction, [place, *(whole(one) for one in _TO_READ_SOON)])
        return context.get_dummy_value()

    return types.void(rows, row, column), generate


fetch: Any = intrinsic(_fetch_of)


def place_of(context: Any, code: ir.IRBuilder, kind: Any, given: ir.Value, at: Sequence[ir.Value]) -> ir.Value:
    """Where an element of an array lies."""
    array = context.make_array(kind)(context, code, given)
    place: ir.Value = cgutils.get_item_pointer(context, code, kind, array, list(at))  # type: ignore[no-untyped-call]
    return place
