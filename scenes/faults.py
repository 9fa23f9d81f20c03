"""Where a fault happened and of which kind, without what it says: the words of an error may quote a query."""

import traceback

_FRAMES = -20
"""The innermost."""


def trace_of(error: BaseException) -> str:
    """The frames and the class of an error, then those of what caused it or is in its group."""
    frames = "".join(traceback.format_tb(error.__traceback__, _FRAMES))
    return "\n".join([f"{frames}{type(error).__qualname__}", *map(trace_of, _inner(error))])


def _inner(error: BaseException) -> list[BaseException]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [*grouped, *([cause] if cause else [])]
