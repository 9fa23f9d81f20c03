"""Where an element of an array lies, and what a compiled function will read soon, fetched meanwhile.

Whoever calls these is kept compiled until its own file changes, so nothing that changes a number may be put here.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from indexer.vectors.compiled import inner

_LINE = 64
"""Bytes that a processor fetches at a time."""
_TO_READ_SOON = 0, 3, 1
"""To read, into all caches, as data."""


def _fetch_of(_typing: Any, rows: Any, row: Any, column: Any) -> Any:
    """Bring what is there into the caches, and wait for nothing."""

    def generate(context: Any, code: ir.IRBuilder, signature: Any, given: Sequence[ir.Value]) -> Any:
        place = place_of(context, code, signature.args[0], given[0], given[1:])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        instruction = code.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        code.call(instruction, [place, *(whole(one) for one in _TO_READ_SOON)])
        return context.get_dummy_value()

    return types.void(rows, row, column), generate


_fetch: Any = intrinsic(_fetch_of)


@inner
def fetch_row(rows: Any, row: Any) -> None:
    """Bring a row of an array into the caches, and wait for nothing."""
    for column in range(0, rows.shape[1], _LINE // rows.itemsize):
        _fetch(rows, row, column)


def place_of(context: Any, code: ir.IRBuilder, kind: Any, given: ir.Value, at: Sequence[ir.Value]) -> ir.Value:
    """Where an element of an array lies."""
    array = context.make_array(kind)(context, code, given)
    place: ir.Value = cgutils.get_item_pointer(context, code, kind, array, list(at))  # type: ignore[no-untyped-call]
    return place
