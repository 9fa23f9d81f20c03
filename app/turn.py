"""The transaction of a request that is done once: what it writes is committed with its answer, or not at all."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from scenes.catalog.engine import Catalog, WriteSession

_turn: ContextVar[WriteSession | None] = ContextVar("turn", default=None)


@contextmanager
def taking(session: WriteSession) -> Iterator[None]:
    """Whatever this request writes until the block ends is a part of this session's transaction."""
    token = _turn.set(session)
    try:
        yield
    finally:
        _turn.reset(token)


@asynccontextmanager
async def writing(catalog: Catalog) -> AsyncIterator[WriteSession]:
    """A part of the request's own transaction where there is one, else a transaction; undone where its block raises.

    Raises `EnvironmentMissing` (`postgres_unreachable`), `Overloaded` (`postgres_busy`).
    """
    turn = _turn.get()
    if turn is None:
        async with catalog.writing() as session:
            yield session
    else:
        async with turn.part():
            yield turn
