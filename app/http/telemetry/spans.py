"""The stages of one request, kept only while it is traced."""

import time
from collections.abc import Awaitable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage and when it began and ended, in nanoseconds since 1970."""

    name: str
    began: int
    ended: int


kept: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)
"""Where the stages of this request go; None where nobody asked."""


def add_stages(stages: Iterable[tuple[str, int, int]]) -> None:
    """Keep stages that were timed elsewhere: name, begin and end, in nanoseconds since 1970."""
    known = kept.get()
    if known is not None:
        known += [Stage(*one) for one in stages]


def staged(name: str, work: Awaitable[_T]) -> Awaitable[_T]:
    """The same work, timed as a stage where the request is traced, and untouched where it is not."""
    stages = kept.get()
    return work if stages is None else _timed(name, work, stages)


async def _timed(name: str, work: Awaitable[_T], stages: list[Stage]) -> _T:
    began = time.time_ns()
    try:
        return await work
    finally:
        stages.append(Stage(name, began, time.time_ns()))
