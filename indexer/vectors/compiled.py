"""Functions that numba compiles for this processor. They release the interpreter while they run.

The compiled code is cached until the source file of the function changes. So what it calls, and what changes its
results, must be in the same file, above it.
"""

from collections.abc import Callable
from typing import Any

from numba import njit

helper = njit(nogil=True)
"""For a function that only compiled functions call; it is compiled with each of them."""
inlined = njit(nogil=True, inline="always")
"""As `helper`, copied to where it is called: a constant argument is a constant inside."""


def compiled(signature: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile at import for one signature, and cache the code on disk; without a cache where no folder is writable."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(signature, nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba finds no folder for its cache
            return njit(signature, nogil=True, **options)(function)

    return decorated
