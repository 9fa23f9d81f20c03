"""Functions compiled for this processor; while they run, the interpreter is left to others.

A function is kept until its own file changes: what it calls, and what changes its numbers, belongs into that file. The
door to numba, but for the kernels beside it, which write instructions that numba does not.
"""

from collections.abc import Callable
from typing import Any

from numba import njit

called = njit(nogil=True)
"""Compiled together with what calls it."""
inner = njit(nogil=True, inline="always")
"""The same, written out wherever it is called."""


def kept(signature: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiled once for this processor and kept; where no folder can be written, at every start."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(signature, nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba finds no folder to keep it in
            return njit(signature, nogil=True, **options)(function)

    return compiled
