"""The transaction of a request that is done once: what it writes is committed with its answer, or not at all.

Every endpoint whose answer is kept checks that its caller may write, and only then opens `writing`. A request that is
sent again runs up to there and no further: so it is checked as any request is.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from scenes.catalog import audit
from scenes.catalog.connection import Catalog, WriteSession

if TYPE_CHECKING:
    from app.http.access import Caller
    from app.state import State


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


@asynccontextmanager
async def audited(
    state: "State", caller: "Caller", action: str, collection: str | None, target: str | None = None
) -> AsyncIterator[WriteSession]:
    """As `writing`, with an entry in the audit log that is committed with the write.

    A key that has many writes under way waits for its own, so that other keys always find a connection.
    """
    key_id = caller.key.key_id
    async with state.writes.of(key_id), writing(state.catalog) as session:
        yield session
        await audit.add(session, key_id, action, collection, target)
