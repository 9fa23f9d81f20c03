"""The transaction of a request that is done once: what it writes is committed with its answer, or not at all.

Every endpoint whose answer is kept checks that its caller may write, and only then opens `writing`. A request that is
sent again runs up to there and no further: so it is checked as any request is.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from scenes.catalog.connection import Catalog, WriteSession


class AlreadyDone(Exception):
    """This request may write, and what it would write was written when it came before."""


_turn: ContextVar[WriteSession | AlreadyDone | None] = ContextVar("turn", default=None)


@contextmanager
def taking(session: WriteSession) -> Iterator[None]:
    """Whatever this request writes until the block ends is a part of this session's transaction."""
    token = _turn.set(session)
    try:
        yield
    finally:
        _turn.reset(token)


@contextmanager
def checking_only() -> Iterator[None]:
    """Until the block ends, `writing` raises `AlreadyDone`."""
    token = _turn.set(AlreadyDone())
    try:
        yield
    finally:
        _turn.reset(token)


@asynccontextmanager
async def writing(catalog: Catalog) -> AsyncIterator[WriteSession]:
    """A part of the request's own transaction where there is one, else a transaction; undone where its block raises.

    Raises `EnvironmentMissing` (`postgres_unreachable`), `Overloaded` (`postgres_busy`), `AlreadyDone`.
    """
    turn = _turn.get()
    if isinstance(turn, AlreadyDone):
        raise turn
    if turn is None:
        async with catalog.writing() as session:
            yield session
    else:
        async with turn.part():
            yield turn
