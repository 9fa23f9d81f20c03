"""A write and its line in the audit log, in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.http.access import Caller
from app.http.transaction import writing
from app.state import State
from scenes.catalog import audit
from scenes.catalog.connection import WriteSession


@asynccontextmanager
async def audited(
    state: State, caller: Caller, action: str, collection: str | None, target: str | None = None
) -> AsyncIterator[WriteSession]:
    """A write session whose block's write is told in the audit log when it is committed, and only then.

    A key that has many writes in hand waits for its own, so that some of the connections are left to others.
    """
    key_id = caller.key.key_id
    async with state.writes.of(key_id), writing(state.catalog) as session:
        yield session
        await audit.add(session, key_id, action, collection, target)
